//! Workers are killed, frozen, cut off: nothing is lost, nothing done twice, and
//! no process lives on without working.
//!
//! Cases wait mostly, and so run side by side.

use std::time::Duration;

use svix_simulator::{Fault, Pattern, Route};
use tests::process::free_port;
use tests::{Deployment, Process, eventually};

/// The deadline for the next attempt, once the lease has run out.
const SOON: Duration = Duration::from_secs(50);

/// Lets every lease run out now, and not after its 60 s.
async fn leases_run_out(deployment: &Deployment) {
    let pool = deployment.in_production().database.pool().await;
    let statement = "
        UPDATE api_partners SET next_attempt_at = now(), leased_until = now()
        WHERE leased_until IS NOT NULL";
    let expired = sqlx::query(statement).execute(&pool).await.unwrap();
    assert!(expired.rows_affected() > 0, "nothing was leased");
}

#[tokio::test]
async fn a_worker_killed_five_times_with_its_hands_full_loses_nothing() {
    let mut deployment = Deployment::production(0).await;
    let slow = Fault::Latency(Duration::from_millis(500));
    deployment
        .svix
        .fault(Pattern::create(), slow)
        .until_cleared();
    let accounts = 600;
    for session in deployment.sessions(accounts).await {
        assert_eq!(deployment.client.create(&session).await.status, 201);
    }

    for _ in 0..5 {
        let calls = deployment.svix.calls(Route::Create);
        deployment.start_worker().await;
        // 64 at once, each of half a second: the 64th is under way before the first is done.
        deployment
            .svix
            .wait_for_calls(Route::Create, calls + 64)
            .await;
        let mut worker = deployment.in_production_mut().workers.pop().unwrap();
        worker.kill().await;
    }
    let killed = deployment.svix.calls(Route::Create);
    leases_run_out(&deployment).await;
    deployment.start_worker().await;
    deployment.all_provisioned(SOON).await;

    assert_eq!(deployment.svix.applications().len(), accounts, "one each");
    println!(
        "killed 5 times: {killed} calls before the last start, {} in all",
        deployment.svix.calls(Route::Create)
    );
}

#[tokio::test]
async fn a_worker_frozen_past_its_lease_changes_nothing_it_no_longer_owns() {
    let mut deployment = Deployment::production(1).await;
    let session = deployment.session().await;
    let slow = Fault::Latency(Duration::from_secs(3));
    deployment.svix.fault(Pattern::create(), slow).times(1);
    assert_eq!(deployment.client.create(&session).await.status, 201);
    deployment.svix.wait_for_calls(Route::Create, 1).await;
    deployment.in_production().workers[0].signal("STOP");

    deployment.start_worker().await;
    leases_run_out(&deployment).await;
    let shown = deployment.provisioned(&session, SOON).await;
    assert_eq!(shown["webhook"]["attempts"], 2, "the other took over");

    deployment.in_production().workers[0].signal("CONT");
    deployment.in_production_mut().workers[0]
        .logged("the claim is no longer ours")
        .await;
    let after = deployment.client.show(&session).await.body;
    assert_eq!(after["webhook"], shown["webhook"]);
    // It works on, under a new name.
    deployment.in_production_mut().workers[1].kill().await;
    let other = deployment.session().await;
    assert_eq!(deployment.client.create(&other).await.status, 201);
    deployment
        .provisioned(&other, Duration::from_secs(10))
        .await;
}

#[tokio::test]
async fn an_api_killed_before_its_nudge_leaves_a_row_that_the_sweep_finds() {
    let mut deployment = Deployment::production(0).await;
    // The nudge cannot get out: Redis is frozen. The commit is made, the api dies.
    deployment.in_production().redis.signal("STOP");
    let session = deployment.session().await;
    assert_eq!(deployment.client.create(&session).await.status, 201);
    deployment.server.kill().await;
    deployment.in_production().redis.signal("CONT");

    deployment.start_worker().await;
    deployment.all_provisioned(Duration::from_secs(20)).await;
    assert_eq!(deployment.svix.applications().len(), 1);
}

#[tokio::test]
async fn a_worker_cut_off_from_redis_says_so_and_ends_for_its_supervisor_to_see() {
    let mut deployment = Deployment::production(0).await;
    let address = format!("127.0.0.1:{}", free_port());
    let mut env = deployment.env();
    env.push(("HEALTH_ADDR", address.clone()));
    let mut worker = Process::start(deployment.dir(), "worker", &[], &env);
    worker.logged("working").await;
    let url = format!("http://{address}/healthz");
    let health = || async {
        reqwest::get(&url)
            .await
            .map(|answer| answer.status().as_u16())
            .ok()
    };
    eventually("it is well", Duration::from_secs(10), health, |status| {
        *status == Some(200)
    })
    .await;

    deployment.in_production_mut().redis.kill().await;
    worker.logged("the queue loop died").await;
    let sick = |status: &Option<u16>| status.is_none_or(|status| status == 503);
    eventually(
        "it says so, or is gone",
        Duration::from_secs(75),
        health,
        sick,
    )
    .await;
    let ended = tokio::time::timeout(Duration::from_secs(15), worker.ended()).await;
    assert!(!ended.expect("it ends").success());
    assert!(worker.log().contains("queue loop"), "and says why");
}

#[tokio::test]
async fn a_worker_cut_off_from_the_database_says_so() {
    let postgres = tests::PrivatePostgres::start().await;
    let database = Some(postgres.migrated().await);
    let deployment = Deployment::planned(tests::Plan {
        database,
        ..Default::default()
    })
    .await;
    let address = format!("127.0.0.1:{}", free_port());
    let mut env = deployment.env();
    env.push(("HEALTH_ADDR", address.clone()));
    let mut worker = Process::start(deployment.dir(), "worker", &[], &env);
    worker.logged("working").await;
    drop(postgres);
    let url = format!("http://{address}/healthz");
    let health = || async { reqwest::get(&url).await.unwrap().text().await.unwrap() };
    eventually("it says so", Duration::from_secs(75), health, |body| {
        body.contains("sweep")
    })
    .await;
    assert!(worker.is_running(), "the database is not its to mend");
}
