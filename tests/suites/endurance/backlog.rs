//! Workers process a backlog that grew while no worker ran. Each row is processed once,
//! and the queue in Redis stays bounded.

use std::time::Duration;

use shared::clock::Clock;
use shared::queue::{DEPTH_LIMIT, Queue, RedisQueue};
use svix_simulator::Route;
use tests::Deployment;
use tests::backlog::{insert_due_rows, provisioned};
use tokio::time::Instant;

/// The number of jobs by which the queue may exceed the limit. The sweeps of two workers
/// may read the same depth and then push a chunk of 100 jobs each.
const OVERSHOOT: usize = 2 * 100;

#[tokio::test]
async fn two_workers_process_each_row_of_a_backlog_of_25_000_once() {
    let _turn = tests::heavy().await;
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
        assert!(
            began.elapsed() < Duration::from_mins(10),
            "the backlog was not processed within 10 minutes"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let took = began.elapsed();
    println!("{rows} rows in {took:?}; the greatest depth of the queue was {deepest}");
    assert!(deepest <= DEPTH_LIMIT + OVERSHOOT, "{deepest}");
    assert!(deepest > 0, "no job was ever seen in the queue");
    assert_eq!(deployment.svix.applications().len(), rows);
    assert_eq!(
        deployment.svix.calls(Route::Create),
        rows as u64,
        "no row was attempted twice"
    );
    for worker in &deployment.in_production().workers {
        assert!(
            worker.log().contains("provisioned"),
            "each worker processed some rows"
        );
    }
}
