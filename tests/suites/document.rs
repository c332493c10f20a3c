//! `openapi.yaml` under the tools of others: a linter, and requests by the thousand
//! that hold the running service against it. What they do is in `tests/document`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tests::tool::succeeds;
use tests::{Deployment, Kind};
use tokio::process::Command;

/// How long a tool may take, on a machine that is busy.
const PATIENCE: Duration = Duration::from_mins(8);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("document")
}

/// A tool in that folder. `installed` is there once the tool is.
fn tool(name: &str, installed: &str) -> Command {
    let is_there = folder().join(installed).exists();
    assert!(is_there, "{installed} is not there: run `make test`");
    let mut tool = Command::new(name);
    tool.current_dir(folder());
    tool
}

#[tokio::test]
async fn the_linter_has_nothing_to_say() {
    let mut lint = tool("npm", "node_modules/@redocly/cli");
    lint.args(["run", "--silent", "lint"]);
    succeeds("redocly", &mut lint, PATIENCE).await;
}

#[tokio::test]
async fn thousands_of_requests_are_answered_as_the_document_says() {
    let deployment = Deployment::start(Kind::Production).await;
    let sessions = deployment.sessions(4).await;
    let mut schemathesis = tool("./run", ".venv/.installed");
    schemathesis
        .env("BASE_URL", deployment.client.base())
        .env("SESSION_TOKENS", sessions.join(" "))
        .env("DEAD_SESSION_TOKENS", deployment.expired_session().await);
    succeeds("schemathesis", &mut schemathesis, PATIENCE).await;
}
