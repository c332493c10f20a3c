//! Rows 1 and 2 of the decision. A job can be fetched as soon as it is pushed, and the queue
//! in Redis is bounded.

use std::time::Duration;

use apalis_core::backend::TaskSink;
use apalis_core::task::builder::TaskBuilder;
use shared::clock::Clock;
use shared::queue::{DEPTH_LIMIT, Queue};
use tokio::task::JoinSet;

use super::queue_test::{ACTIVE, DATA, PATIENCE, QueueTest, SCHEDULED, jobs_without_rows, queue};

/// The number of jobs by which each of several pushers may exceed the limit: one chunk.
const OVERSHOOT: usize = 100;

#[tokio::test]
async fn ten_thousand_jobs_pushed_by_apalis_are_shed_and_the_queue_recovers() {
    let test = QueueTest::start().await;
    let jobs = jobs_without_rows(10_000);
    for chunk in jobs.chunks(1000) {
        test.queue
            .storage()
            .push_bulk(chunk.to_vec())
            .await
            .unwrap();
    }
    assert_eq!(
        test.run_command::<usize>(&["ZCARD", SCHEDULED]).await,
        10_000
    );

    // Without the sweep, the queue stays full and the loop dies at each start.
    let _worker = test.start_worker();
    let first = test.workers(1).await.pop_first().unwrap();
    test.renamed(&first).await;
    assert_eq!(test.queue.depth().await.unwrap(), 10_000);

    test.due_rows(50).await;
    let sweep = test.start_sweep();
    test.all_done(PATIENCE).await;
    sweep.stop().await;
    test.holds_only(1).await;
}

#[tokio::test]
async fn jobs_within_the_limit_are_not_shed() {
    let test = QueueTest::start().await;
    test.push(&jobs_without_rows(DEPTH_LIMIT)).await;
    assert_eq!(test.queue.shed().await.unwrap(), 0);
    assert_eq!(test.queue.depth().await.unwrap(), DEPTH_LIMIT);
}

#[tokio::test]
async fn the_queue_accepts_jobs_up_to_the_limit() {
    let test = QueueTest::start().await;
    let jobs = jobs_without_rows(25_000);
    assert_eq!(test.queue.push(&jobs).await.unwrap(), DEPTH_LIMIT);
    assert_eq!(test.queue.depth().await.unwrap(), DEPTH_LIMIT);
    assert_eq!(test.queue.push(&jobs[DEPTH_LIMIT..]).await.unwrap(), 0);
    assert_eq!(test.queue.depth().await.unwrap(), DEPTH_LIMIT);
    assert_eq!(
        test.run_command::<usize>(&["HLEN", DATA]).await,
        DEPTH_LIMIT
    );
}

#[tokio::test]
async fn ten_concurrent_pushers_exceed_the_limit_by_at_most_a_chunk_each() {
    let test = QueueTest::start().await;
    let mut pushers = JoinSet::new();
    for _ in 0..10 {
        let queue = queue(&test.redis, Clock::system());
        pushers.spawn(async move { queue.push(&jobs_without_rows(2500)).await.unwrap() });
    }
    let sent: usize = pushers.join_all().await.into_iter().sum();
    let depth = test.queue.depth().await.unwrap();
    assert_eq!(
        depth, sent,
        "the queue holds every job that was reported as sent"
    );
    assert!(
        (DEPTH_LIMIT..=DEPTH_LIMIT + 10 * OVERSHOOT).contains(&depth),
        "{depth}"
    );
}

/// A pusher remembers the depth after its last push.
#[tokio::test]
async fn pushers_that_knew_a_lower_depth_exceed_the_limit_by_at_most_a_chunk_each() {
    let test = QueueTest::start().await;
    let mut pushers = Vec::new();
    for _ in 0..10 {
        let pusher = queue(&test.redis, Clock::system());
        assert_eq!(pusher.push(&jobs_without_rows(1)).await.unwrap(), 1);
        pushers.push(pusher);
    }
    let filled = test.queue.push(&jobs_without_rows(2500)).await.unwrap();
    assert_eq!(pushers.len() + filled, DEPTH_LIMIT);
    for pusher in &pushers {
        let sent = pusher.push(&jobs_without_rows(2500)).await.unwrap();
        assert!(sent <= OVERSHOOT, "{sent}");
        assert_eq!(pusher.push(&jobs_without_rows(1)).await.unwrap(), 0);
    }
}

/// The jobs are in the queue before the push fails.
#[tokio::test]
async fn pushes_that_fail_do_not_fill_the_queue() {
    let test = QueueTest::start().await;
    test.push(&jobs_without_rows(1)).await;
    let no_channels = ["ACL", "SETUSER", "default", "resetchannels"];
    let _: String = test.run_command(&no_channels).await;
    for _ in 0..15 {
        let pushed = test.queue.push(&jobs_without_rows(100)).await;
        assert!(pushed.is_err() || pushed.unwrap() == 0);
    }
    let depth = test.queue.depth().await.unwrap();
    assert!((100..=DEPTH_LIMIT + OVERSHOOT).contains(&depth), "{depth}");
}

#[tokio::test]
async fn pushed_jobs_can_be_fetched_immediately_whatever_the_clock() {
    let test = QueueTest::start().await;
    let jobs = test.due_rows(3).await;
    let _worker = test.start_worker();
    test.workers(1).await;

    // A machine whose clock is ahead leaves such a job if it dies before it promotes it. The
    // job is hidden until this machine's clock reaches its time.
    let ahead = Duration::from_mins(5);
    let hidden = TaskBuilder::new(jobs[0]).run_after(ahead).build();
    test.queue.storage().push_task(hidden).await.unwrap();
    assert_eq!(test.run_command::<usize>(&["ZCARD", SCHEDULED]).await, 1);

    let fast = Clock::system();
    fast.advance(ahead);
    queue(&test.redis, fast).push(&jobs[1..2]).await.unwrap();
    queue(&test.redis, Clock::behind(ahead))
        .push(&jobs[2..])
        .await
        .unwrap();
    assert_eq!(test.run_command::<usize>(&["ZCARD", SCHEDULED]).await, 0);
    test.all_done(PATIENCE).await;
}

#[tokio::test]
async fn no_pushed_job_waits_in_the_scheduled_set() {
    let test = QueueTest::start().await;
    test.push(&jobs_without_rows(750)).await;
    assert_eq!(test.run_command::<usize>(&["ZCARD", SCHEDULED]).await, 0);
    assert_eq!(test.run_command::<usize>(&["LLEN", ACTIVE]).await, 750);
}

/// Checks that an idle worker polls for jobs. Without a sweep, only this polling finds a
/// job. A worker that fetched only at its heartbeats, one every 5 s, would need 50 s for ten
/// jobs.
#[tokio::test]
async fn an_idle_worker_does_not_wait_for_its_heartbeat() {
    let test = QueueTest::start().await;
    let _worker = test.start_worker();
    test.workers(1).await;
    tokio::time::sleep(Duration::from_secs(2)).await; // the time without work
    let heartbeat = async || test.queue.workers().await.unwrap()[0].last_heartbeat;
    let before = heartbeat().await;
    for _ in 0..10 {
        let jobs = test.due_rows(1).await;
        test.push(&jobs).await;
        test.all_done(PATIENCE).await;
    }
    let between = heartbeat().await.since(before);
    assert!(
        between < Duration::from_secs(30),
        "ten jobs took {between:?}"
    );
    test.holds_only(1).await;
}
