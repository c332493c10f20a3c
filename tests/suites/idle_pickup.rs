//! A worker that has gone idle picks up at once (apalis's own polling does not).

use std::time::Duration;

use tests::load::{all_created, percentile};
use tests::{Deployment, Load};

/// Longer than apalis's default heartbeat, at which a stalled worker would wake.
const IDLE: Duration = Duration::from_secs(45);

#[tokio::test]
async fn a_worker_idle_for_45_seconds_claims_300_mints_at_once() {
    let deployment = Deployment::production(1).await;
    let sessions = deployment.sessions(300).await;
    tokio::time::sleep(IDLE).await; // the idleness, not a wait for anything

    let pace = Duration::from_millis(30);
    let mints = Load::paced(vec![deployment.client.clone()], sessions, pace)
        .finish()
        .await;
    all_created(&mints);
    deployment.all_provisioned(Duration::from_secs(10)).await;

    let log = deployment.in_production().workers[0].log();
    let claims = log.lines().filter_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        (line["message"] == "claimed").then(|| line["age_ms"].as_u64())?
    });
    let ages: Vec<Duration> = claims.map(Duration::from_millis).collect();
    let (p50, p99) = (percentile(ages.clone(), 50), percentile(ages.clone(), 99));
    let most = percentile(ages.clone(), 100);
    println!(
        "commit to claim, {} jobs: p50 {p50:?}, p99 {p99:?}, most {most:?}",
        ages.len()
    );
    assert_eq!(ages.len(), 300, "each claimed once");
    assert!(p99 < Duration::from_millis(100), "{p99:?}");
    assert!(most < Duration::from_secs(1), "{most:?}");
}
