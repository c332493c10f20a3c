//! Rows 5 to 7 of the decision. A job is stored once, attempted once, and leaves no data in
//! Redis.

use std::time::Duration;
use worker::sweep::Swept;

use shared::queue::Queue;
use svix_simulator::{Fault, Pattern};
use tests::eventually;

use super::queue_test::{ACTIVE, DATA, META, PATIENCE, QueueTest};

/// The time for which a job that was sent is not sent again.
const PERIOD: Duration = Duration::from_secs(10);

/// Moves the clock to the beginning of a period, so that a test does not reach its end.
fn advance_to_start_of_period(test: &QueueTest) {
    let into = test.clock.now().as_micros() % i64::try_from(PERIOD.as_micros()).unwrap();
    let left = PERIOD.saturating_sub(Duration::from_micros(into.unsigned_abs()));
    test.clock.advance(left);
}

#[tokio::test]
async fn a_waiting_job_that_is_pushed_100_times_is_stored_once() {
    let test = QueueTest::start().await;
    let job = test.due_rows(1).await[0];
    advance_to_start_of_period(&test);

    test.push(&[job; 50]).await;
    for _ in 0..50 {
        test.push(&[job]).await;
    }
    assert_eq!(test.queue.depth().await.unwrap(), 1);
    assert_eq!(test.run_command::<usize>(&["HLEN", DATA]).await, 1);
    let meta: Vec<String> = test.run_command(&["KEYS", &format!("{META}:*")]).await;
    assert_eq!(meta.len(), 1);

    // In the next period, the job can be sent again in case it was lost. The claim prevents
    // a second attempt.
    test.clock.advance(PERIOD);
    test.push(&[job; 50]).await;
    assert_eq!(test.queue.depth().await.unwrap(), 2);
    let _worker = test.start_worker();
    test.all_done(PATIENCE).await;
    test.holds_only(1).await;
    assert_eq!(test.svix.calls(Pattern::create()), 1);
}

#[tokio::test]
async fn a_failed_attempt_is_repeated_only_when_its_row_is_due() {
    let test = QueueTest::start().await;
    let failing = Fault::Status(500);
    test.svix.fault(Pattern::create(), failing).until_cleared();
    let id = test.due_rows(1).await[0].key_id;
    let _worker = test.start_worker();
    test.workers(1).await;

    for attempts in 1..=5 {
        assert_eq!(test.sweep().once().await.unwrap(), Swept::Sent(1));
        let row = || test.db.row(id);
        eventually("the failure is written to the row", PATIENCE, row, |row| {
            row.attempts == attempts && row.leased_until.is_none()
        })
        .await;
        // apalis repeats jobs that are in Redis, but none is left there.
        test.holds_only(1).await;
        let calls = u64::try_from(attempts).unwrap();
        assert_eq!(test.svix.calls(Pattern::create()), calls);
        // The longest possible backoff of this attempt.
        test.clock.advance(Duration::from_secs(1 << (attempts - 1)));
    }

    test.svix.clear_faults();
    test.sweep().once().await.unwrap();
    test.all_done(PATIENCE).await;
    assert_eq!(test.db.row(id).await.attempts, 6);
    assert_eq!(test.svix.calls(Pattern::create()), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_jobs_leave_no_data_in_redis() {
    let _turn = tests::heavy().await;
    let test = QueueTest::start().await;
    let worker = test.start_worker();
    let names = test.workers(1).await;
    test.holds_only(1).await;

    test.due_rows(5000).await;
    let sweep = test.start_sweep();
    test.all_done(Duration::from_mins(3)).await;
    sweep.stop().await;
    test.holds_only(1).await;
    assert_eq!(test.names().await, names, "the worker loop did not restart");
    assert_eq!(test.svix.calls(Pattern::create()), 5000);
    assert_eq!(test.svix.applications().len(), 5000);

    worker.stop().await;
    test.holds_only(0).await;
}

#[tokio::test]
async fn redis_losing_everything_costs_only_time() {
    let test = QueueTest::start().await;
    let slow = Fault::Latency(Duration::from_millis(50));
    test.svix.fault(Pattern::create(), slow).until_cleared();
    test.due_rows(400).await;
    let _worker = test.start_worker();
    let mut name = test.workers(1).await.pop_first().unwrap();
    let sweep = test.start_sweep();

    for calls in [20, 120, 220] {
        test.svix.wait_for_calls(Pattern::create(), calls).await;
        let () = test.run_command(&["FLUSHALL"]).await;
        name = test.renamed(&name).await;
    }
    test.all_done(PATIENCE).await;
    sweep.stop().await;
    test.holds_only(1).await;
    assert_eq!(
        test.svix.calls(Pattern::create()),
        400,
        "no attempt was made twice"
    );
    assert_eq!(test.run_command::<usize>(&["LLEN", ACTIVE]).await, 0);
}

/// Checks that settling a job does not delete a newer copy of it. This case occurs when the
/// loop dies or Redis loses its data during a job. A sweep that read the row before the claim
/// then sends the job again.
#[tokio::test]
async fn settling_a_job_that_redis_lost_keeps_its_newer_copy() {
    let test = QueueTest::start().await;
    let jobs = test.due_rows(1).await;
    advance_to_start_of_period(&test);
    test.push(&jobs).await;
    let ids: Vec<String> = test.run_command(&["LRANGE", ACTIVE, "0", "-1"]).await;
    let () = test.run_command(&["FLUSHALL"]).await;
    test.push(&jobs).await;
    let again: Vec<String> = test.run_command(&["LRANGE", ACTIVE, "0", "-1"]).await;
    assert_eq!(again, ids);

    test.queue.settle("the first one's", &ids[0]).await.unwrap();
    let data: Vec<String> = test.run_command(&["HKEYS", DATA]).await;
    assert_eq!(data, ids);
    let _worker = test.start_worker();
    let name = test.workers(1).await;
    test.all_done(PATIENCE).await;
    assert_eq!(test.names().await, name, "the worker loop did not restart");
    test.holds_only(1).await;
}
