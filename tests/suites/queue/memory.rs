//! The embedded deployment's queue keeps the same promises.

use std::sync::Arc;

use shared::queue::{DEPTH_LIMIT, MemoryQueue, Queue};
use svix_simulator::Pattern;
use tokio_util::sync::CancellationToken;
use worker::liveness::Pulse;
use worker::sweep::Sweep;

use super::rig::{PATIENCE, Rig, jobs_of_nobody};

#[tokio::test]
async fn the_memory_queue_takes_as_many_as_the_limit_allows() {
    let queue = MemoryQueue::new();
    let jobs = jobs_of_nobody(25_000);
    assert_eq!(queue.push(&jobs).await.unwrap(), DEPTH_LIMIT);
    assert_eq!(queue.depth().await.unwrap(), DEPTH_LIMIT);
    assert_eq!(queue.push(&jobs[DEPTH_LIMIT..]).await.unwrap(), 0);
    assert_eq!(queue.depth().await.unwrap(), DEPTH_LIMIT);
}

#[tokio::test]
async fn the_memory_queue_holds_a_job_once_while_it_waits() {
    let rig = Rig::start().await;
    let queue = MemoryQueue::new();
    let jobs = rig.due_rows(2).await;
    for job in [jobs[0]; 100] {
        assert_eq!(queue.push(&[job]).await.unwrap(), 1);
    }
    assert_eq!(queue.push(&[jobs[1]; 100]).await.unwrap(), 100);
    assert_eq!(queue.depth().await.unwrap(), 2);

    let queue_loop = rig.queue_loop(rig.db.store.clone(), Arc::new(queue.clone()));
    let stop = CancellationToken::new();
    let running = tokio::spawn(queue_loop.run(stop.clone()));
    rig.all_done(PATIENCE).await;
    assert_eq!(queue.depth().await.unwrap(), 0, "and it can be sent again");
    queue.push(&jobs[..1]).await.unwrap();
    stop.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(rig.svix.calls(Pattern::create()), 2);
}

#[tokio::test]
async fn the_memory_queue_works_off_more_than_it_holds() {
    let rig = Rig::start().await;
    let queue = MemoryQueue::new();
    let count = DEPTH_LIMIT + DEPTH_LIMIT / 2;
    rig.due_rows(count).await;
    let sweep = Sweep {
        queue: Arc::new(queue.clone()),
        pulse: Pulse::default(),
        ..rig.sweep()
    };
    assert_eq!(sweep.once().await.unwrap(), DEPTH_LIMIT);
    assert_eq!(sweep.once().await.unwrap(), 0, "it is full");

    let queue_loop = rig.queue_loop(rig.db.store.clone(), Arc::new(queue.clone()));
    let stop = CancellationToken::new();
    tokio::spawn(sweep.run(stop.clone()));
    tokio::spawn(queue_loop.run(stop));
    rig.all_done(PATIENCE).await;
    assert_eq!(rig.svix.calls(Pattern::create()), count as u64);
}

#[tokio::test]
async fn a_memory_queue_whose_worker_has_ended_says_so() {
    let rig = Rig::start().await;
    let queue = MemoryQueue::new();
    let stop = CancellationToken::new();
    let queue_loop = rig.queue_loop(rig.db.store.clone(), Arc::new(queue.clone()));
    let running = tokio::spawn(queue_loop.run(stop.clone()));
    queue.push(&rig.due_rows(1).await).await.unwrap();
    rig.all_done(PATIENCE).await;
    stop.cancel();
    running.await.unwrap().unwrap();
    let refused = queue.push(&jobs_of_nobody(1)).await.unwrap_err();
    assert!(
        refused.to_string().contains("worker has ended"),
        "{refused}"
    );
}
