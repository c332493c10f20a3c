//! Programs that are not ours.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// Runs a tool to its end, which must be a good one. `what` it does is said if it
/// is not, with all that it printed.
pub async fn succeeds(what: &str, tool: &mut Command, patience: Duration) {
    let ended = tool.stdin(Stdio::null()).kill_on_drop(true).output();
    let ended = tokio::time::timeout(patience, ended).await;
    let ended = ended.unwrap_or_else(|_| panic!("{what}: not done within {patience:?}"));
    let ended = ended.unwrap_or_else(|error| panic!("{what}: it did not start: {error}"));
    assert!(
        ended.status.success(),
        "{what}:\n{}{}",
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr),
    );
}
