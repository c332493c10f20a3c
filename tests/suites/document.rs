//! `openapi.yaml` under the tools of others: a linter, and requests by the thousand
//! that hold the running service against it. What they do is in `tests/document`.
#![allow(missing_docs)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use tests::{Deployment, Kind};
use tokio::process::Command;

/// How long a tool may take, on a machine that is busy.
const PATIENCE: Duration = Duration::from_mins(8);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("document")
}

/// Runs a tool that says by its status whether all is well, and by its output
/// what is not. `installed` is there once the tool is.
async fn run(tool: &mut Command, installed: &str) {
    assert!(
        folder().join(installed).exists(),
        "the tools in tests/document are not installed: run `make test`"
    );
    let ended = tool.current_dir(folder()).kill_on_drop(true).output();
    let ended = tokio::time::timeout(PATIENCE, ended).await;
    let ended = ended.unwrap_or_else(|_| panic!("{tool:?}: not done within {PATIENCE:?}"));
    let ended = ended.unwrap_or_else(|error| panic!("{tool:?} did not start: {error}"));
    assert!(
        ended.status.success(),
        "{}{}",
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr),
    );
}

#[tokio::test]
async fn the_linter_has_nothing_to_say() {
    let mut lint = Command::new("npm");
    lint.args(["run", "--silent", "lint"]);
    run(&mut lint, "node_modules/@redocly/cli").await;
}

#[tokio::test]
async fn thousands_of_requests_are_answered_as_the_document_says() {
    let deployment = Deployment::start(Kind::Production).await;
    let sessions = deployment.sessions(4).await;
    let mut schemathesis = Command::new("./run");
    schemathesis
        .env("BASE_URL", deployment.client.base())
        .env("SESSION_TOKENS", sessions.join(" "))
        .env("DEAD_SESSION_TOKENS", deployment.expired_session().await);
    run(&mut schemathesis, ".venv/.installed").await;
}
