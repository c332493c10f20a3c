//! Runs external programs.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// Runs a tool and checks that it exits successfully within `timeout`. Otherwise it
/// panics with `name` and, if the tool exited, with all its output.
pub async fn succeeds(name: &str, tool: &mut Command, timeout: Duration) {
    let output = tool.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(timeout, output).await;
    let output = output.unwrap_or_else(|_| panic!("{name} did not exit within {timeout:?}"));
    let output = output.unwrap_or_else(|error| panic!("{name} did not start: {error}"));
    assert!(
        output.status.success(),
        "{name} failed with {}:\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}
