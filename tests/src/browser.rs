//! A real Chromium, driven by `tests/browser`: one case, one browser.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::Semaphore;

use crate::tool::succeeds;
use crate::{Deployment, variable};

/// How long a case may take, on a machine that is busy.
const PATIENCE: Duration = Duration::from_mins(3);

/// Browsers at a time: a machine of many cores would start one for each test.
static BROWSERS: Semaphore = Semaphore::const_new(4);

/// Runs a case against this deployment, signed in as a new account. `more` is
/// merged into what the case is told.
pub async fn drive(case: &str, deployment: &Deployment, more: Value) {
    let mut told = json!({
        "base": deployment.client.base(),
        "simulator": deployment.svix.url(),
        "session": deployment.session().await,
    });
    if let (Value::Object(told), Value::Object(more)) = (&mut told, more) {
        told.extend(more);
    }
    run(case, told).await;
}

/// Runs a case, told this, once there is room for its browser.
pub async fn run(case: &str, mut told: Value) {
    let _turn = BROWSERS.acquire().await.unwrap();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let modules = here.join("browser/node_modules/playwright-core");
    assert!(
        modules.exists(),
        "the browser's driver is not installed: run `make test`"
    );
    let artifacts: PathBuf = here.join("../artifacts/dashboard");
    told["artifacts"] = artifacts.to_str().unwrap().into();
    let mut node = Command::new("node");
    node.args(["run.mjs", case])
        .current_dir(here.join("browser"))
        .env("DASHBOARD_TEST", told.to_string())
        .env("TMPDIR", variable("TEST_TMPDIR")); // profiles
    succeeds(case, &mut node, PATIENCE).await;
}
