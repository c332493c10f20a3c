//! Row 2: Redis is bounded; and row 1: what was pushed can be fetched at once.

use std::time::Duration;

use apalis_core::backend::TaskSink;
use apalis_core::task::builder::TaskBuilder;
use shared::clock::Clock;
use shared::queue::{DEPTH_LIMIT, Queue};
use tokio::task::JoinSet;

use super::rig::{ACTIVE, DATA, PATIENCE, Rig, SCHEDULED, jobs_of_nobody, queue};

/// By how much each of several pushers may overshoot: a chunk.
const OVERSHOOT: usize = 100;

#[tokio::test]
async fn ten_thousand_jobs_from_apalis_itself_are_shed_and_the_queue_recovers() {
    let rig = Rig::start().await;
    let stuffing = jobs_of_nobody(10_000);
    for chunk in stuffing.chunks(1000) {
        rig.queue.storage().push_bulk(chunk.to_vec()).await.unwrap();
    }
    assert_eq!(rig.ask::<usize>(&["ZCARD", SCHEDULED]).await, 10_000);

    // Without the sweep it is as bad as it gets: the loop dies at each start.
    let _worker = rig.work();
    let first = rig.workers(1).await.pop_first().unwrap();
    rig.renamed(&first).await;
    assert_eq!(rig.queue.depth().await.unwrap(), 10_000);

    rig.due_rows(50).await;
    let sweep = rig.keep_sweeping();
    rig.all_done(PATIENCE).await;
    sweep.stop().await;
    rig.holds_only(1).await;
}

#[tokio::test]
async fn what_the_limit_allows_is_not_shed() {
    let rig = Rig::start().await;
    rig.push(&jobs_of_nobody(DEPTH_LIMIT)).await;
    assert_eq!(rig.queue.shed().await.unwrap(), 0);
    assert_eq!(rig.queue.depth().await.unwrap(), DEPTH_LIMIT);
}

#[tokio::test]
async fn of_25_000_jobs_the_queue_takes_as_many_as_the_limit_allows() {
    let rig = Rig::start().await;
    let jobs = jobs_of_nobody(25_000);
    assert_eq!(rig.queue.push(&jobs).await.unwrap(), DEPTH_LIMIT);
    assert_eq!(rig.queue.depth().await.unwrap(), DEPTH_LIMIT);
    assert_eq!(rig.queue.push(&jobs[DEPTH_LIMIT..]).await.unwrap(), 0);
    assert_eq!(rig.queue.depth().await.unwrap(), DEPTH_LIMIT);
    assert_eq!(rig.ask::<usize>(&["HLEN", DATA]).await, DEPTH_LIMIT);
}

#[tokio::test]
async fn ten_pushers_at_once_overshoot_the_limit_by_a_chunk_each_at_most() {
    let rig = Rig::start().await;
    let mut pushers = JoinSet::new();
    for _ in 0..10 {
        let queue = queue(&rig.redis, Clock::system());
        pushers.spawn(async move { queue.push(&jobs_of_nobody(2500)).await.unwrap() });
    }
    let sent: usize = pushers.join_all().await.into_iter().sum();
    let depth = rig.queue.depth().await.unwrap();
    assert_eq!(depth, sent, "what was said to be sent is there");
    assert!(
        (DEPTH_LIMIT..=DEPTH_LIMIT + 10 * OVERSHOOT).contains(&depth),
        "{depth}"
    );
}

#[tokio::test]
async fn what_was_pushed_can_be_fetched_at_once_whatever_the_clocks_say() {
    let rig = Rig::start().await;
    let jobs = rig.due_rows(3).await;
    let _worker = rig.work();
    rig.workers(1).await;

    // What a machine whose clock is ahead leaves, should it die before it
    // promotes: hidden until this machine's clock is there.
    let ahead = Duration::from_mins(5);
    let hidden = TaskBuilder::new(jobs[0]).run_after(ahead).build();
    rig.queue.storage().push_task(hidden).await.unwrap();
    assert_eq!(rig.ask::<usize>(&["ZCARD", SCHEDULED]).await, 1);

    let fast = Clock::system();
    fast.advance(ahead);
    queue(&rig.redis, fast).push(&jobs[1..2]).await.unwrap();
    queue(&rig.redis, Clock::behind(ahead))
        .push(&jobs[2..])
        .await
        .unwrap();
    assert_eq!(rig.ask::<usize>(&["ZCARD", SCHEDULED]).await, 0);
    rig.all_done(PATIENCE).await;
}

#[tokio::test]
async fn nothing_that_was_pushed_waits_in_the_scheduled_set() {
    let rig = Rig::start().await;
    rig.push(&jobs_of_nobody(750)).await;
    assert_eq!(rig.ask::<usize>(&["ZCARD", SCHEDULED]).await, 0);
    assert_eq!(rig.ask::<usize>(&["LLEN", ACTIVE]).await, 750);
}

/// Without a sweep, only the worker's own polling can find a job. A worker that fetches
/// at its heartbeats alone, one every 5 s, would need 50 s for ten jobs.
#[tokio::test]
async fn an_idle_worker_does_not_wait_for_its_heartbeat() {
    let rig = Rig::start().await;
    let _worker = rig.work();
    rig.workers(1).await;
    tokio::time::sleep(Duration::from_secs(2)).await; // the idleness
    let heartbeat = async || rig.queue.workers().await.unwrap()[0].last_heartbeat;
    let before = heartbeat().await;
    for _ in 0..10 {
        let jobs = rig.due_rows(1).await;
        rig.push(&jobs).await;
        rig.all_done(PATIENCE).await;
    }
    let between = heartbeat().await.since(before);
    assert!(between < Duration::from_secs(30), "{between:?}");
    rig.holds_only(1).await;
}
