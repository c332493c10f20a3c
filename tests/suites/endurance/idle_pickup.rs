//! A worker that has been idle still looks for jobs. With apalis's own polling, it
//! would fetch only at its heartbeats.

use std::time::Duration;

use tests::load::{all_created, percentile};
use tests::{Deployment, Load, Process, RedisServer, eventually};

/// The time without work. It is longer than apalis's default heartbeat (30 s).
const IDLE: Duration = Duration::from_secs(45);
/// The heartbeats of a worker in that time, one every 5 s.
const HEARTBEATS: u64 = 9;

/// Returns how many scripts Redis has run. A worker fetches by a script.
async fn scripts_run(redis: &RedisServer) -> u64 {
    let mut connection = redis.connection().await;
    let mut info = redis::cmd("INFO");
    let stats: String = info
        .arg("commandstats")
        .query_async(&mut connection)
        .await
        .unwrap();
    let calls = |line: &str| {
        line.split("calls=")
            .nth(1)?
            .split(',')
            .next()?
            .parse::<u64>()
            .ok()
    };
    let scripts = stats.lines().filter(|line| line.contains("_eval"));
    scripts.filter_map(calls).sum::<u64>()
}

/// Returns the times from commit to claim that a worker has logged.
fn ages_of_claims(worker: &Process) -> Vec<Duration> {
    let log = worker.log();
    let claims = log.lines().filter_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        (line["message"] == "claimed").then(|| line["age_ms"].as_u64())?
    });
    claims.map(Duration::from_millis).collect()
}

#[tokio::test]
async fn a_worker_that_was_idle_for_45_seconds_claims_each_of_300_keys_once() {
    let deployment = Deployment::production(1).await;
    let sessions = deployment.sessions(300).await;
    let redis = &deployment.in_production().redis;
    let before = scripts_run(redis).await;
    tokio::time::sleep(IDLE).await; // the time without work
    let fetches = scripts_run(redis).await - before;
    assert!(
        fetches > 10 * HEARTBEATS,
        "the idle worker fetched {fetches} times"
    );

    let pace = Duration::from_millis(30);
    let created = Load::paced(vec![deployment.client.clone()], sessions, pace)
        .finish()
        .await;
    all_created(&created);
    deployment.all_provisioned(Duration::from_mins(1)).await;

    // A busy worker writes its log a moment later.
    let logged = || async { ages_of_claims(&deployment.in_production().workers[0]) };
    let all = |ages: &Vec<Duration>| ages.len() >= 300;
    let ages = eventually("the claims are logged", IDLE, logged, all).await;
    let [p50, p99, max] = [50, 99, 100].map(|percent| percentile(ages.clone(), percent));
    println!(
        "{fetches} fetches while idle; from commit to claim: p50 {p50:?}, p99 {p99:?}, maximum {max:?}"
    );
    assert_eq!(ages.len(), 300, "each key is claimed once");
}
