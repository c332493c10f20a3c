//! Rows 5 to 7: a job is stored once, tried once, and leaves nothing.

use std::time::Duration;

use shared::queue::Queue;
use svix_simulator::{Fault, Pattern};
use tests::eventually;

use super::rig::{ACTIVE, DATA, META, PATIENCE, Rig};

/// For how long a job that was sent is not sent again.
const PERIOD: Duration = Duration::from_secs(10);

/// Moves the clock to the beginning of a period, so that its end is far.
fn start_of_a_period(rig: &Rig) {
    let into = rig.clock.now().as_micros() % i64::try_from(PERIOD.as_micros()).unwrap();
    let left = PERIOD.saturating_sub(Duration::from_micros(into.unsigned_abs()));
    rig.clock.advance(left);
}

#[tokio::test]
async fn a_job_that_is_pushed_100_times_while_it_waits_is_stored_once() {
    let rig = Rig::start().await;
    let job = rig.due_rows(1).await[0];
    // To the beginning of a period, so that the test does not cross its end.
    let into = rig.clock.now().as_micros() % i64::try_from(PERIOD.as_micros()).unwrap();
    rig.clock
        .advance(PERIOD.saturating_sub(Duration::from_micros(into.unsigned_abs())));

    rig.push(&[job; 50]).await;
    for _ in 0..50 {
        rig.push(&[job]).await;
    }
    assert_eq!(rig.queue.depth().await.unwrap(), 1);
    assert_eq!(rig.ask::<usize>(&["HLEN", DATA]).await, 1);
    let meta: Vec<String> = rig.ask(&["KEYS", &format!("{META}:*")]).await;
    assert_eq!(meta.len(), 1);

    // Were it lost on the way, it is not blocked for ever; the claim decides.
    rig.clock.advance(PERIOD);
    rig.push(&[job; 50]).await;
    assert_eq!(rig.queue.depth().await.unwrap(), 2);
    let _worker = rig.work();
    rig.all_done(PATIENCE).await;
    rig.holds_only(1).await;
    assert_eq!(rig.svix.calls(Pattern::create()), 1);
}

#[tokio::test]
async fn a_failed_attempt_is_never_repeated_by_apalis_but_when_its_row_is_due() {
    let rig = Rig::start().await;
    let failing = Fault::Status(500);
    rig.svix.fault(Pattern::create(), failing).until_cleared();
    let id = rig.due_rows(1).await[0].key_id;
    let _worker = rig.work();
    rig.workers(1).await;

    for attempts in 1..=5 {
        assert_eq!(rig.sweep().once().await.unwrap(), 1);
        let row = || rig.db.row(id);
        eventually("the failure is in the row", PATIENCE, row, |row| {
            row.attempts == attempts && row.leased_until.is_none()
        })
        .await;
        // apalis repeats what is in Redis; and there is nothing.
        rig.holds_only(1).await;
        let calls = u64::try_from(attempts).unwrap();
        assert_eq!(rig.svix.calls(Pattern::create()), calls);
        // The longest that the backoff may be, and no longer.
        rig.clock.advance(Duration::from_secs(1 << (attempts - 1)));
    }

    rig.svix.clear_faults();
    rig.sweep().once().await.unwrap();
    rig.all_done(PATIENCE).await;
    assert_eq!(rig.db.row(id).await.attempts, 6);
    assert_eq!(rig.svix.calls(Pattern::create()), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_jobs_leave_redis_as_it_was() {
    let rig = Rig::start().await;
    let worker = rig.work();
    let names = rig.workers(1).await;
    rig.holds_only(1).await;

    rig.due_rows(5000).await;
    let sweep = rig.keep_sweeping();
    rig.all_done(Duration::from_mins(3)).await;
    sweep.stop().await;
    rig.holds_only(1).await;
    assert_eq!(rig.names().await, names, "without a restart");
    assert_eq!(rig.svix.calls(Pattern::create()), 5000);
    assert_eq!(rig.svix.applications().len(), 5000);

    worker.stop().await;
    rig.holds_only(0).await;
}

#[tokio::test]
async fn redis_losing_everything_costs_time_and_nothing_else() {
    let rig = Rig::start().await;
    let slow = Fault::Latency(Duration::from_millis(50));
    rig.svix.fault(Pattern::create(), slow).until_cleared();
    rig.due_rows(400).await;
    let _worker = rig.work();
    let mut name = rig.workers(1).await.pop_first().unwrap();
    let sweep = rig.keep_sweeping();

    for calls in [20, 120, 220] {
        rig.svix.wait_for_calls(Pattern::create(), calls).await;
        let () = rig.ask(&["FLUSHALL"]).await;
        name = rig.renamed(&name).await;
    }
    rig.all_done(PATIENCE).await;
    sweep.stop().await;
    rig.holds_only(1).await;
    assert_eq!(
        rig.svix.calls(Pattern::create()),
        400,
        "none was made twice"
    );
    assert_eq!(rig.ask::<usize>(&["LLEN", ACTIVE]).await, 0);
}

/// The loop died, or Redis forgot, while the job went on; a sweep that had read
/// the row before it was claimed sent it once more.
#[tokio::test]
async fn settling_a_job_that_redis_forgot_spares_its_newer_copy() {
    let rig = Rig::start().await;
    let jobs = rig.due_rows(1).await;
    start_of_a_period(&rig);
    rig.push(&jobs).await;
    let ids: Vec<String> = rig.ask(&["LRANGE", ACTIVE, "0", "-1"]).await;
    let () = rig.ask(&["FLUSHALL"]).await;
    rig.push(&jobs).await;
    let again: Vec<String> = rig.ask(&["LRANGE", ACTIVE, "0", "-1"]).await;
    assert_eq!(again, ids);

    rig.queue.settle("the first one's", &ids[0]).await.unwrap();
    let data: Vec<String> = rig.ask(&["HKEYS", DATA]).await;
    assert_eq!(data, ids);
    let _worker = rig.work();
    let name = rig.workers(1).await;
    rig.all_done(PATIENCE).await;
    assert_eq!(rig.names().await, name, "the loop went on");
    rig.holds_only(1).await;
}
