//! A backlog that built up while no worker ran is worked off, once each, and
//! Redis stays bounded meanwhile.

use std::time::Duration;

use shared::clock::Clock;
use shared::queue::{DEPTH_LIMIT, Queue, RedisQueue};
use svix_simulator::Route;
use tests::Deployment;
use tests::backlog::{insert_due_rows, provisioned};
use tokio::time::Instant;

/// What pushers that ask for the depth at the same moment may add beyond the
/// limit: a chunk of 100 each, of two workers' sweeps.
const OVERSHOOT: usize = 2 * 100;

#[tokio::test]
async fn a_backlog_of_25_000_is_worked_off_by_two_workers_once_each() {
    let rows = 25_000;
    let mut deployment = Deployment::production(0).await;
    let pool = deployment.in_production().database.pool().await;
    insert_due_rows(&pool, rows).await;

    let client = redis::Client::open(deployment.in_production().redis.url()).unwrap();
    let queue = RedisQueue::new(client, Clock::system()).unwrap();
    let began = Instant::now();
    deployment.start_worker().await;
    deployment.start_worker().await;
    let mut deepest = 0;
    while provisioned(&pool).await < rows {
        deepest = deepest.max(queue.depth().await.unwrap());
        assert!(began.elapsed() < Duration::from_mins(10), "it hangs");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let took = began.elapsed();
    println!("{rows} rows in {took:?}, Redis never deeper than {deepest}");
    assert!(deepest <= DEPTH_LIMIT + OVERSHOOT, "{deepest}");
    assert!(deepest > 0, "the depth was never seen");
    assert_eq!(deployment.svix.applications().len(), rows);
    assert_eq!(
        deployment.svix.calls(Route::Create),
        rows as u64,
        "none was tried twice"
    );
    for worker in &deployment.in_production().workers {
        assert!(worker.log().contains("provisioned"), "both had a share");
    }
}
