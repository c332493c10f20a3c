//! The ways to run Redis. Whatever it does, no creation fails or waits for it, and every key
//! is provisioned.

mod cluster;
mod prefixes;
mod sentinel;

use std::time::Duration;

use serde_json::Value;
use tests::load::{all_created, p99};
use tests::process::binary;
use tests::{Client, Deployment, Load, eventually, report};
use tokio::process::Command;
use tokio::time::Instant;

/// The deadline for steps whose duration is not tested.
const SOON: Duration = Duration::from_secs(20);
/// The deadline for provisioning everything once Redis works again.
const RECOVERY: Duration = Duration::from_mins(1);

/// Creates `count` keys.
async fn create(client: &Client, deployment: &Deployment, count: usize) {
    for session in deployment.sessions(count).await {
        assert_eq!(client.create(&session).await.status, 201);
    }
}

/// Returns what `worker status --json` prints about Redis, with these variables.
async fn redis_status(env: &[(&'static str, String)]) -> Value {
    let mut command = Command::new(binary("worker"));
    command.args(["status", "--json"]).env_clear();
    let output = command.envs(env.iter().cloned()).output().await.unwrap();
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    status["redis"].clone()
}

/// Waits until this many jobs are in Redis.
async fn depth_becomes(deployment: &Deployment, expected: usize) {
    let env = deployment.env();
    let status = || redis_status(&env);
    let what = format!("{expected} jobs are in Redis");
    eventually(&what, SOON, status, |redis| redis["depth"] == expected).await;
}

/// Lets Redis fail over by `fail_over` under load. Checks that each creation is answered 201,
/// that every key is provisioned, and that no process ends.
async fn nothing_is_lost_when(
    what: &str,
    deployment: &mut Deployment,
    fail_over: impl AsyncFnOnce(),
) {
    let load = Load::start(deployment, 1500).await;
    load.answers(50).await;
    let began = Instant::now();
    fail_over().await;
    let took = began.elapsed();
    load.answers(50).await;
    let mints = load.stop().await;
    all_created(&mints);
    deployment.all_provisioned(RECOVERY).await;

    let (before, since): (Vec<_>, Vec<_>) = mints.iter().partition(|mint| mint.sent < began);
    report(&format!(
        "{what} took {took:?}: {} creations, all answered 201; p99 {:?} before it, {:?} since then",
        mints.len(),
        p99(before),
        p99(since),
    ));
    assert!(deployment.server.is_running(), "the api still runs");
    for worker in &mut deployment.in_production_mut().workers {
        assert!(worker.is_running(), "the worker still runs");
    }
}

/// Checks that the worker and the api use the new master, and that a worker that starts now
/// finds it too.
async fn all_follow_the_new_master(deployment: &mut Deployment) {
    let env = deployment.env();
    let workers = || async { redis_status(&env).await["workers"].clone() };
    let before = eventually("Redis answers", SOON, workers, Value::is_array).await;
    let beats = |it: &Value| it.is_array() && *it != before;
    eventually("the worker beats there", SOON, workers, beats).await;
    depth_becomes(deployment, 0).await;
    deployment.in_production_mut().workers[0].kill().await;

    // What the api sends before it notices is lost, and without a worker nobody sweeps.
    let sent = || async {
        create(&deployment.client, deployment, 1).await;
        redis_status(&env).await["depth"].as_u64().unwrap_or(0)
    };
    eventually("the api sends jobs there", SOON, sent, |depth| *depth > 0).await;
    deployment.start_worker().await;
    deployment.all_provisioned(RECOVERY).await;
}
