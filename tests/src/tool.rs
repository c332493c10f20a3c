//! Runs external programs.

use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;

/// Runs a tool and checks that it exits successfully within `timeout`. Otherwise it
/// panics with `name` and, if the tool exited, with all its output. Returns what it wrote
/// to standard output.
pub async fn succeeds(name: &str, tool: &mut Command, timeout: Duration) -> String {
    let output = run(name, tool, timeout).await;
    assert!(
        output.status.success(),
        "{name} failed with {}:\n{}",
        output.status,
        text(&output),
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a tool and checks that it fails within `timeout`. Returns all its output.
pub async fn fails(name: &str, tool: &mut Command, timeout: Duration) -> String {
    let output = run(name, tool, timeout).await;
    assert!(!output.status.success(), "{name} found nothing to refuse");
    text(&output)
}

async fn run(name: &str, tool: &mut Command, timeout: Duration) -> Output {
    let output = tool.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(timeout, output).await;
    let output = output.unwrap_or_else(|_| panic!("{name} did not exit within {timeout:?}"));
    output.unwrap_or_else(|error| panic!("{name} did not start: {error}"))
}

fn text(output: &Output) -> String {
    let text = String::from_utf8_lossy;
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}
