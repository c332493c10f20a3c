//! Checks `openapi.yaml` with external tools: a linter, and schemathesis, which
//! compares the running service with the document. `tests/document` configures both.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tests::tool::succeeds;
use tests::{Deployment, Kind};
use tokio::process::Command;

/// The time limit for one tool on a busy machine.
const TIMEOUT: Duration = Duration::from_mins(8);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("document")
}

/// Returns a command to run a tool in that folder. The path `installed` exists once
/// the tool is installed.
fn tool(name: &str, installed: &str) -> Command {
    let is_installed = folder().join(installed).exists();
    assert!(is_installed, "{installed} does not exist; run `make test`");
    let mut tool = Command::new(name);
    tool.current_dir(folder());
    tool
}

#[tokio::test]
async fn the_linter_finds_no_problem() {
    let mut lint = tool("npm", "node_modules/@redocly/cli");
    lint.args(["run", "--silent", "lint"]);
    succeeds("redocly", &mut lint, TIMEOUT).await;
}

#[tokio::test]
async fn responses_to_thousands_of_requests_match_the_document() {
    let deployment = Deployment::start(Kind::Production).await;
    let sessions = deployment.sessions(4).await;
    let mut schemathesis = tool("./run", ".venv/.installed");
    schemathesis
        .env("BASE_URL", deployment.client.base())
        .env("SESSION_TOKENS", sessions.join(" "))
        .env("DEAD_SESSION_TOKENS", deployment.expired_session().await);
    succeeds("schemathesis", &mut schemathesis, TIMEOUT).await;
}
