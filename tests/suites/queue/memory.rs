//! The queue of the embedded deployment keeps the same promises.

use std::sync::Arc;

use shared::queue::{DEPTH_LIMIT, MemoryQueue, Queue};
use svix_simulator::Pattern;
use tokio_util::sync::CancellationToken;
use worker::liveness::Pulse;
use worker::sweep::{Sweep, Swept};

use super::queue_test::{PATIENCE, QueueTest, jobs_without_rows};

#[tokio::test]
async fn the_memory_queue_accepts_jobs_up_to_the_limit() {
    let queue = MemoryQueue::new();
    let jobs = jobs_without_rows(25_000);
    assert_eq!(queue.push(&jobs).await.unwrap(), DEPTH_LIMIT);
    assert_eq!(queue.depth().await.unwrap(), DEPTH_LIMIT);
    assert_eq!(queue.push(&jobs[DEPTH_LIMIT..]).await.unwrap(), 0);
    assert_eq!(queue.depth().await.unwrap(), DEPTH_LIMIT);
}

#[tokio::test]
async fn the_memory_queue_stores_a_waiting_job_once() {
    let test = QueueTest::start().await;
    let queue = MemoryQueue::new();
    let jobs = test.due_rows(2).await;
    for job in [jobs[0]; 100] {
        assert_eq!(queue.push(&[job]).await.unwrap(), 1);
    }
    assert_eq!(queue.push(&[jobs[1]; 100]).await.unwrap(), 100);
    assert_eq!(queue.depth().await.unwrap(), 2);

    let queue_loop = test.queue_loop(test.db.store.clone(), Arc::new(queue.clone()));
    let stop = CancellationToken::new();
    let running = tokio::spawn(queue_loop.run(stop.clone()));
    test.all_done(PATIENCE).await;
    assert_eq!(
        queue.depth().await.unwrap(),
        0,
        "the queue is empty once the jobs are done"
    );
    queue.push(&jobs[..1]).await.unwrap();
    stop.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(test.svix.calls(Pattern::create()), 2);
}

#[tokio::test]
async fn the_memory_queue_processes_more_jobs_than_it_can_hold() {
    let test = QueueTest::start().await;
    let queue = MemoryQueue::new();
    let count = DEPTH_LIMIT + DEPTH_LIMIT / 2;
    test.due_rows(count).await;
    let sweep = Sweep {
        queue: Arc::new(queue.clone()),
        pulse: Pulse::default(),
        ..test.sweep()
    };
    assert_eq!(sweep.once().await.unwrap(), Swept::Sent(DEPTH_LIMIT));
    assert_eq!(sweep.once().await.unwrap(), Swept::QueueIsFull);

    let queue_loop = test.queue_loop(test.db.store.clone(), Arc::new(queue.clone()));
    let stop = CancellationToken::new();
    tokio::spawn(sweep.run(stop.clone()));
    tokio::spawn(queue_loop.run(stop));
    test.all_done(PATIENCE).await;
    assert_eq!(test.svix.calls(Pattern::create()), count as u64);
}

#[tokio::test]
async fn a_memory_queue_whose_worker_has_ended_refuses_jobs() {
    let test = QueueTest::start().await;
    let queue = MemoryQueue::new();
    let stop = CancellationToken::new();
    let queue_loop = test.queue_loop(test.db.store.clone(), Arc::new(queue.clone()));
    let running = tokio::spawn(queue_loop.run(stop.clone()));
    queue.push(&test.due_rows(1).await).await.unwrap();
    test.all_done(PATIENCE).await;
    stop.cancel();
    running.await.unwrap().unwrap();
    let refused = queue.push(&jobs_without_rows(1)).await.unwrap_err();
    assert!(
        refused.to_string().contains("worker has ended"),
        "{refused}"
    );
}
