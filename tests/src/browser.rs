//! A real Chromium, driven by `tests/browser`. Each case has its own browser.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::Semaphore;

use crate::tool::succeeds;
use crate::{Deployment, variable};

/// The time limit for a case, on a busy machine.
const PATIENCE: Duration = Duration::from_mins(3);

/// Limits the number of browsers that run at the same time.
static BROWSERS: Semaphore = Semaphore::const_new(4);

/// Runs a case against this deployment, signed in to a new account. `more` is merged
/// into the case's configuration.
pub async fn drive(case: &str, deployment: &Deployment, more: Value) {
    let mut config = json!({
        "base": deployment.client.base(),
        "simulator": deployment.svix.url(),
        "session": deployment.session().await,
    });
    if let (Value::Object(config), Value::Object(more)) = (&mut config, more) {
        config.extend(more);
    }
    run(case, config).await;
}

/// Runs a case with this configuration, once there is room for its browser.
pub async fn run(case: &str, mut config: Value) {
    let _turn = BROWSERS.acquire().await.unwrap();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let modules = here.join("browser/node_modules/playwright-core");
    assert!(
        modules.exists(),
        "the browser's driver is not installed: run `make test`"
    );
    let artifacts: PathBuf = here.join("../artifacts/dashboard");
    config["artifacts"] = artifacts.to_str().unwrap().into();
    let mut node = Command::new("node");
    node.args(["run.mjs", case])
        .current_dir(here.join("browser"))
        .env("DASHBOARD_TEST", config.to_string())
        .env("TMPDIR", variable("TEST_TMPDIR")); // profiles
    succeeds(case, &mut node, PATIENCE).await;
}
