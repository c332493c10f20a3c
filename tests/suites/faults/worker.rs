//! Workers are killed, frozen or disconnected. No work is lost or done twice, and a worker
//! that cannot work ends or reports the fault.

use std::time::Duration;

use sqlx::postgres::PgPool;
use sqlx::{Postgres, Transaction};
use svix_simulator::{Fault, Pattern, Route};
use tests::process::free_port;
use tests::{Deployment, Plan, Process, eventually};

/// The deadline for the next attempt once the lease has expired.
const SOON: Duration = Duration::from_secs(50);

/// Ends every lease now. Otherwise, a lease lasts 60 s.
async fn expire_leases(deployment: &Deployment) {
    let pool = deployment.in_production().database.pool().await;
    let statement = "
        UPDATE api_partners SET next_attempt_at = now(), leased_until = now()
        WHERE leased_until IS NOT NULL";
    let expired = sqlx::query(statement).execute(&pool).await.unwrap();
    assert!(expired.rows_affected() > 0, "no row was leased");
}

#[tokio::test]
async fn a_worker_killed_five_times_during_its_jobs_loses_nothing() {
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
        // A worker makes 64 calls at once, and each takes half a second. So the 64th begins
        // before the first ends.
        deployment
            .svix
            .wait_for_calls(Route::Create, calls + 64)
            .await;
        let mut worker = deployment.in_production_mut().workers.pop().unwrap();
        worker.kill().await;
    }
    let killed = deployment.svix.calls(Route::Create);
    expire_leases(&deployment).await;
    deployment.start_worker().await;
    deployment.all_provisioned(SOON).await;

    assert_eq!(
        deployment.svix.applications().len(),
        accounts,
        "each account has one application"
    );
    println!(
        "killed 5 times: {killed} calls before the last start, {} in all",
        deployment.svix.calls(Route::Create)
    );
}

#[tokio::test]
async fn a_worker_whose_lease_expired_while_it_was_frozen_writes_nothing() {
    let mut deployment = Deployment::production(1).await;
    let session = deployment.session().await;
    let slow = Fault::Latency(Duration::from_secs(3));
    deployment.svix.fault(Pattern::create(), slow).times(1);
    assert_eq!(deployment.client.create(&session).await.status, 201);
    deployment.svix.wait_for_calls(Route::Create, 1).await;
    deployment.in_production().workers[0].signal("STOP");

    deployment.start_worker().await;
    expire_leases(&deployment).await;
    let shown = deployment.provisioned(&session, SOON).await;
    assert_eq!(
        shown["webhook"]["attempts"], 2,
        "the other worker made the second attempt"
    );

    deployment.in_production().workers[0].signal("CONT");
    deployment.in_production_mut().workers[0]
        .logged("the claim is no longer ours")
        .await;
    let after = deployment.client.show(&session).await.body;
    assert_eq!(after["webhook"], shown["webhook"]);
    // The resumed worker still provisions keys, under a new name.
    deployment.in_production_mut().workers[1].kill().await;
    let other = deployment.session().await;
    assert_eq!(deployment.client.create(&other).await.status, 201);
    deployment
        .provisioned(&other, Duration::from_secs(10))
        .await;
}

#[tokio::test]
async fn the_sweep_finds_the_row_of_an_api_that_was_killed_before_its_nudge() {
    let mut deployment = Deployment::production(0).await;
    // Redis is frozen, so the nudge cannot be sent. The API is killed after its commit.
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
async fn a_worker_without_redis_reports_it_and_ends_with_a_failure() {
    let mut deployment = Deployment::production(0).await;
    let address = format!("127.0.0.1:{}", free_port());
    let mut env = deployment.env();
    env.push(("ADMIN_ADDR", address.clone()));
    let mut worker = Process::start(deployment.dir(), "worker", &[], &env);
    worker.logged("working").await;
    let url = format!("http://{address}/healthz");
    let health = || async {
        tests::http::get(&url)
            .await
            .map(|answer| answer.status().as_u16())
            .ok()
    };
    eventually(
        "the worker is healthy",
        Duration::from_secs(10),
        health,
        |status| *status == Some(200),
    )
    .await;

    deployment.in_production_mut().redis.kill().await;
    worker.logged("the queue loop died").await;
    let is_failing = |status: &Option<u16>| status.is_none_or(|status| status == 503);
    eventually(
        "the worker reports the fault or has ended",
        Duration::from_secs(75),
        health,
        is_failing,
    )
    .await;
    let ended = tokio::time::timeout(Duration::from_secs(15), worker.ended()).await;
    assert!(!ended.expect("the worker ends").success());
    assert!(
        worker.log().contains("queue loop"),
        "the log names the cause"
    );
}

#[tokio::test]
async fn a_worker_without_the_database_reports_it_and_keeps_running() {
    let postgres = tests::PrivatePostgres::start().await;
    let database = Some(postgres.migrated().await);
    let deployment = Deployment::planned(tests::Plan {
        database,
        ..Default::default()
    })
    .await;
    let address = format!("127.0.0.1:{}", free_port());
    let mut env = deployment.env();
    env.push(("ADMIN_ADDR", address.clone()));
    let mut worker = Process::start(deployment.dir(), "worker", &[], &env);
    worker.logged("working").await;
    drop(postgres);
    let url = format!("http://{address}/healthz");
    let health = || async { tests::http::get(&url).await.unwrap().text().await.unwrap() };
    eventually(
        "the worker reports the fault",
        Duration::from_secs(75),
        health,
        |body| body.contains("sweep"),
    )
    .await;
    assert!(
        worker.is_running(),
        "the worker keeps running until the database works again"
    );
}

/// Locks the row of the one attempt that is being made.
async fn lock_the_leased_row(pool: &PgPool) -> Transaction<'static, Postgres> {
    let mut transaction = pool.begin().await.unwrap();
    let lock = "SELECT id FROM api_partners WHERE leased_until IS NOT NULL FOR UPDATE";
    let locked = sqlx::query(lock).execute(&mut *transaction).await.unwrap();
    assert_eq!(locked.rows_affected(), 1);
    transaction
}

#[tokio::test]
async fn the_next_attempt_does_not_wait_until_an_outcome_is_written() {
    let deployment = Deployment::planned(Plan {
        workers: 1,
        env: vec![("WORKER_CONCURRENCY", "1".to_owned())],
        ..Plan::default()
    })
    .await;
    // Time to lock the row while its attempt is made.
    let slow = Fault::Latency(Duration::from_secs(5));
    deployment.svix.fault(Pattern::create(), slow).times(1);
    for session in deployment.sessions(2).await {
        assert_eq!(deployment.client.create(&session).await.status, 201);
    }
    deployment.svix.wait_for_calls(Route::Create, 1).await;
    let pool = deployment.in_production().database.pool().await;
    let locked = lock_the_leased_row(&pool).await;
    deployment.svix.wait_for_calls(Route::Create, 2).await;
    locked.rollback().await.unwrap();
    deployment.all_provisioned(SOON).await;
    let attempts = sqlx::query_scalar("SELECT DISTINCT attempts::bigint FROM api_partners");
    let attempts: Vec<i64> = attempts.fetch_all(&pool).await.unwrap();
    assert_eq!(attempts, [1], "no outcome was given up");
}
