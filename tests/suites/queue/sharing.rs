//! How workers are woken, and how they share what each would otherwise do alone.

use std::time::Duration;

use shared::queue::{DEPTH_LIMIT, Queue};
use worker::sweep::Swept;

use super::queue_test::{PATIENCE, QueueTest, WORKERS};

/// The largest number of workers that share their periodic work.
const FLEET: usize = 30;

/// Registers further workers, which only seem to be alive. Lets the queue count all of them.
async fn add_workers(test: &QueueTest, count: usize) {
    let now = (test.clock.now().as_micros() / 1_000_000).to_string();
    for number in 0..count {
        let name = format!("worker-{number}");
        let () = test.run_command(&["ZADD", WORKERS, &now, &name]).await;
    }
    test.queue.maintain().await.unwrap();
}

/// Returns the time of the first worker's last heartbeat. A worker also fetches then, so a
/// job that neither a message nor a tick announces waits for it, 5 s at most.
async fn heartbeats(test: &QueueTest, worker: &str) -> shared::clock::Timestamp {
    let workers = test.queue.workers().await.unwrap();
    let found = workers.into_iter().find(|known| known.name == worker);
    found.unwrap().last_heartbeat
}

#[tokio::test]
async fn workers_share_what_is_done_from_time_to_time() {
    let test = QueueTest::start().await;
    let second = Duration::from_secs(1);
    assert_eq!(test.queue.share_of(second), second);
    add_workers(&test, 20).await;
    assert_eq!(test.queue.share_of(second), 20 * second);
    test.clock.advance(Duration::from_mins(2));
    test.queue.maintain().await.unwrap();
    assert_eq!(test.queue.share_of(second), second, "they are dead");
}

/// Checks that a message wakes the worker. In a fleet of this size its tick comes every 7.5 s
/// and its heartbeat every 5 s, so ten jobs would take it 50 s.
#[tokio::test]
async fn a_message_wakes_a_worker_in_a_large_fleet() {
    let test = QueueTest::start().await;
    let _worker = test.start_worker();
    let name = test.workers(1).await.pop_first().unwrap();
    add_workers(&test, FLEET - 1).await;
    let before = heartbeats(&test, &name).await;
    for _ in 0..10 {
        let jobs = test.due_rows(1).await;
        test.push(&jobs).await;
        test.all_done(PATIENCE).await;
    }
    let took = heartbeats(&test, &name).await.since(before);
    assert!(took < Duration::from_secs(30), "ten jobs took {took:?}");
}

/// Checks that a sweep does not always read the oldest rows, which the queue already holds.
/// It begins at a random place among as many rows as the queue has jobs, so it may once
/// begin with the first.
#[tokio::test]
async fn a_sweep_finds_rows_behind_those_in_the_queue() {
    let test = QueueTest::start().await;
    let due = test.due_rows(2 * DEPTH_LIMIT).await;
    let held = 300;
    for _ in 0..10 {
        let () = test.run_command(&["FLUSHALL"]).await;
        test.push(&due[..held]).await;
        let room = DEPTH_LIMIT - held;
        assert_eq!(test.sweep().once().await.unwrap(), Swept::Sent(room));
        if test.queue.depth().await.unwrap() > room {
            return;
        }
    }
    panic!("each sweep read the rows whose jobs were in the queue");
}

#[tokio::test]
async fn a_sweep_sends_all_rows_if_there_are_few() {
    let test = QueueTest::start().await;
    let due = test.due_rows(600).await;
    // A job that is sent again in another step of 10 s is another job.
    let into_step = test.clock.now().as_micros() % 10_000_000;
    let left = u64::try_from(10_000_000 - into_step).unwrap();
    test.clock.advance(Duration::from_micros(left));
    test.push(&due[..400]).await;
    assert_eq!(test.sweep().once().await.unwrap(), Swept::Sent(600));
    assert_eq!(test.queue.depth().await.unwrap(), 600);
}
