//! PostgreSQL restarts, stops or hangs under load. The API answers 503 promptly and in the
//! format for errors, no creation is half done, and the processes recover without a restart.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::Connection;
use tests::load::Mint;
use tests::{Deployment, Load, Plan, PrivatePostgres, eventually};

/// The time within which every request is answered. Two statements have a deadline of
/// 4.8 s together, and the rest is for a busy machine. Without the deadline, a request
/// would wait for the end of the fault, which lasts 8 s at least.
const PROMPT: Duration = Duration::from_millis(7500);

/// Checks that each answer is 201, or a prompt 503 with a Retry-After header. Returns the
/// number of 503 answers.
#[track_caller]
fn count_unavailable(mints: &[Mint]) -> usize {
    for mint in mints {
        assert!(mint.took < PROMPT, "{:?}", mint.took);
        if mint.answer.status != 201 {
            mint.answer.is_error(503, "unavailable");
            assert!(mint.answer.header("retry-after").is_some());
        }
    }
    mints
        .iter()
        .filter(|mint| mint.answer.status == 503)
        .count()
}

/// Checks that a creation that was answered 503 stored nothing, or a key that GET shows,
/// and that repeating it never creates a second key.
async fn check_that_failed_creations_can_be_repeated(deployment: &Deployment, mints: &[Mint]) {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for mint in mints.iter().filter(|mint| mint.answer.status == 503) {
        let before = deployment.client.show(&mint.session).await.body;
        let again = deployment.client.create(&mint.session).await;
        let expected = if before["has_key"] == true { 409 } else { 201 };
        assert_eq!(again.status, expected, "{before}");
        *seen
            .entry(if expected == 409 { "a key" } else { "nothing" })
            .or_default() += 1;
        let after = deployment.client.show(&mint.session).await.body;
        assert_eq!(after["has_key"], true);
        assert_eq!(deployment.client.revoke(&mint.session).await.status, 200);
        let after = deployment.client.show(&mint.session).await.body;
        assert_eq!(after["has_key"], false);
    }
    println!("the creations that were answered 503 left: {seen:?}");
}

/// Starts a deployment with one worker on its own PostgreSQL server.
async fn start_deployment() -> (PrivatePostgres, Deployment) {
    let postgres = PrivatePostgres::start().await;
    let database = Some(postgres.migrated().await);
    let deployment = Deployment::planned(Plan {
        database,
        workers: 1,
        ..Plan::default()
    })
    .await;
    (postgres, deployment)
}

/// Runs `fault` on the server of a new deployment under load and checks that nothing is lost.
async fn nothing_is_lost_when(what: &str, fault: impl AsyncFnOnce(&mut PrivatePostgres, &Load)) {
    let (mut postgres, deployment) = start_deployment().await;
    let fault = async |load: &Load| fault(&mut postgres, load).await;
    nothing_is_lost(what, deployment, fault).await;
}

/// Runs `fault` under load and checks that no creation is lost, that answers are prompt, and
/// that the API and the worker recover without a restart. Returns the deployment and what the
/// creations were answered.
pub(crate) async fn nothing_is_lost(
    what: &str,
    mut deployment: Deployment,
    fault: impl AsyncFnOnce(&Load),
) -> (Deployment, Vec<Mint>) {
    let load = Load::start(&deployment, 4000).await;
    load.answers(50).await;
    fault(&load).await;

    let ready = || async {
        deployment
            .client
            .send(reqwest::Method::GET, "/healthz", |r| r)
            .await
            .status
    };
    eventually("the API is alive", PROMPT, ready, |status| *status == 200).await;
    load.answers(50).await;
    let mints = load.stop().await;
    let refused = count_unavailable(&mints);
    assert!(refused > 0, "no request was answered 503");
    assert_eq!(
        mints.last().unwrap().answer.status,
        201,
        "the API recovered"
    );
    check_that_failed_creations_can_be_repeated(&deployment, &mints).await;
    deployment.all_provisioned(Duration::from_secs(90)).await; // a lease may have to expire
    println!(
        "{what}: {} creations, each answered within {PROMPT:?}, {refused} with 503",
        mints.len()
    );
    assert!(deployment.server.is_running());
    assert!(deployment.in_production_mut().workers[0].is_running());
    (deployment, mints)
}

/// Waits until the load has more answers, so that some come after the fault.
pub(crate) async fn wait_for_more_answers(load: &Load) {
    // The load is answered 503 until PostgreSQL works again.
    load.answers(100).await;
}

#[tokio::test]
async fn postgres_is_restarted_under_load() {
    nothing_is_lost_when("restarted", async |postgres, load| {
        postgres.stop().await;
        load.answers(20).await;
        postgres.restart().await;
        wait_for_more_answers(load).await;
    })
    .await;
}

#[tokio::test]
async fn postgres_crashes_under_load() {
    nothing_is_lost_when("crashed", async |postgres, load| {
        postgres.kill().await;
        load.answers(20).await;
        postgres.restart().await;
        wait_for_more_answers(load).await;
    })
    .await;
}

#[tokio::test]
async fn postgres_is_stopped_for_twenty_seconds() {
    nothing_is_lost_when("stopped for 20 s", async |postgres, load| {
        postgres.stop().await;
        tokio::time::sleep(Duration::from_secs(20)).await; // the length of the fault
        postgres.restart().await;
        wait_for_more_answers(load).await;
    })
    .await;
}

#[tokio::test]
async fn postgres_freezes() {
    nothing_is_lost_when("frozen for 8 s", async |postgres, load| {
        postgres.signal("STOP");
        tokio::time::sleep(Duration::from_secs(8)).await; // the length of the fault
        postgres.signal("CONT");
        wait_for_more_answers(load).await;
    })
    .await;
}

#[tokio::test]
async fn slow_queries_exhaust_the_pool() {
    nothing_is_lost_when("every statement blocked for 8 s", async |postgres, load| {
        let mut blocker = sqlx::PgConnection::connect(&postgres.url()).await.unwrap();
        let mut lock = blocker.begin().await.unwrap();
        let statement = "LOCK TABLE api_partners, sessions IN ACCESS EXCLUSIVE MODE";
        sqlx::query(statement).execute(&mut *lock).await.unwrap();
        tokio::time::sleep(Duration::from_secs(8)).await; // the length of the fault
        lock.rollback().await.unwrap();
        wait_for_more_answers(load).await;
    })
    .await;
}
