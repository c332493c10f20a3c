//! Workers whose clocks differ by 30 s: no attempt is made twice, no row starves.

use std::sync::Arc;
use std::time::Duration;

use shared::clock::Clock;
use shared::queue::RedisQueue;
use svix_simulator::{Fault, Pattern, Route};
use tests::Deployment;
use tests::deployment::svix_config;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use worker::Worker;

/// Runs a worker in this process, its clock set.
fn start_worker(deployment: &Deployment, clock: Clock, stop: &CancellationToken) -> JoinHandle<()> {
    let store = Arc::new(deployment.in_production().database.store());
    let client = redis::Client::open(deployment.in_production().redis.url()).unwrap();
    let queue = RedisQueue::new(client, clock.clone()).unwrap();
    let svix = svix_config(&deployment.svix);
    let worker = Worker::new(store, Arc::new(queue), &svix, clock, 16);
    let stop = stop.clone();
    tokio::spawn(async move { worker.run(stop).await.unwrap() })
}

/// The api's clock is the machine's; one worker's is ahead of it, one's behind.
async fn nothing_is_done_twice_or_starves(ahead: Duration, behind: Duration) {
    let deployment = Deployment::production(0).await;
    // Slow enough that claims overlap, and every fifth attempt or so fails.
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
    // A retry written by the fast one is due for the slow one that much later.
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
        "300, and the 60 that failed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_worker_is_thirty_seconds_ahead() {
    nothing_is_done_twice_or_starves(Duration::from_secs(30), Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_worker_is_thirty_seconds_behind() {
    nothing_is_done_twice_or_starves(Duration::ZERO, Duration::from_secs(30)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_are_fifteen_seconds_off_on_either_side() {
    let off = Duration::from_secs(15);
    nothing_is_done_twice_or_starves(off, off).await;
}
