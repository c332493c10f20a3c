//! Workers whose clocks differ by 30 s. No attempt is made twice, and every row is
//! provisioned.

use std::sync::Arc;
use std::time::Duration;

use shared::clock::Clock;
use shared::config::RedisConfig;
use shared::queue::RedisQueue;
use svix_simulator::{Fault, Pattern, Route};
use tests::Deployment;
use tests::deployment::svix_config;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use worker::Worker;

/// Runs a worker with the given clock in this process.
fn start_worker(deployment: &Deployment, clock: Clock, stop: &CancellationToken) -> JoinHandle<()> {
    let store = Arc::new(deployment.in_production().database.store());
    let redis = RedisConfig::parse(&deployment.in_production().redis.url()).unwrap();
    let queue = RedisQueue::new(redis, clock.clone());
    let svix = svix_config(&deployment.svix);
    let worker = Worker::new(store, Arc::new(queue), &svix, clock, 16);
    let stop = stop.clone();
    tokio::spawn(async move { worker.run(stop).await.unwrap() })
}

/// Runs one worker whose clock is ahead of the API's clock and one whose clock is behind,
/// and checks that each attempt is made once and every row is provisioned.
async fn each_attempt_is_made_once_and_every_row_is_provisioned(ahead: Duration, behind: Duration) {
    let deployment = Deployment::production(0).await;
    // The latency makes claims overlap. 60 of 360 attempts fail.
    let slow = Fault::Latency(Duration::from_millis(50));
    deployment
        .svix
        .fault(Pattern::create(), Fault::Status(500))
        .times(60);
    deployment
        .svix
        .fault(Pattern::create(), slow)
        .until_cleared();
    let fast = Clock::system();
    fast.advance(ahead);
    let slow = Clock::behind(behind);

    let stop = CancellationToken::new();
    let workers = [fast, slow].map(|clock| start_worker(&deployment, clock, &stop));
    for session in deployment.sessions(300).await {
        assert_eq!(deployment.client.create(&session).await.status, 201);
    }
    // The slow worker sees a retry that the fast worker wrote as due only after the
    // difference between their clocks.
    deployment
        .all_provisioned(ahead + behind + Duration::from_secs(30))
        .await;
    stop.cancel();
    for worker in workers {
        worker.await.unwrap();
    }
    assert_eq!(deployment.svix.applications().len(), 300);
    assert_eq!(
        deployment.svix.calls(Route::Create),
        360,
        "300 attempts succeed and 60 fail"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_clock_is_thirty_seconds_ahead() {
    each_attempt_is_made_once_and_every_row_is_provisioned(Duration::from_secs(30), Duration::ZERO)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_clock_is_thirty_seconds_behind() {
    each_attempt_is_made_once_and_every_row_is_provisioned(Duration::ZERO, Duration::from_secs(30))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_clock_is_fifteen_seconds_ahead_and_one_is_fifteen_seconds_behind() {
    let off = Duration::from_secs(15);
    each_attempt_is_made_once_and_every_row_is_provisioned(off, off).await;
}
