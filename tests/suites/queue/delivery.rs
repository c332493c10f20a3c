//! Rows 5 to 7: a job is stored once, tried once, and leaves nothing.

use std::time::Duration;

use shared::queue::Queue;
use standalone::svix_simulator::{Fault, Pattern};
use tests::eventually;

use crate::rig::{ACTIVE, DATA, META, PATIENCE, Rig, WORKERS};

/// For how long a job that was sent is not sent again.
const PERIOD: Duration = Duration::from_secs(10);

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
    rig.holds_only(&rig.workers(1).await).await;
    assert_eq!(rig.svix.calls(Pattern::create()), 1);
}

#[tokio::test]
async fn a_failed_attempt_is_never_repeated_by_apalis_but_when_its_row_is_due() {
    let rig = Rig::start().await;
    let failing = Fault::Status(500);
    rig.svix.fault(Pattern::create(), failing).until_cleared();
    let id = rig.due_rows(1).await[0].partner_id;
    let _worker = rig.work();
    let worker = rig.workers(1).await;

    for attempts in 1..=5 {
        assert_eq!(rig.sweep().once().await.unwrap(), 1);
        let row = || rig.db.row(id);
        eventually("the failure is in the row", PATIENCE, row, |row| {
            row.attempts == attempts && row.leased_until.is_none()
        })
        .await;
        // apalis repeats what is in Redis; and there is nothing.
        rig.holds_only(&worker).await;
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
    rig.holds_only(&names).await;

    rig.due_rows(5000).await;
    rig.keep_sweeping();
    rig.all_done(Duration::from_mins(3)).await;
    rig.holds_only(&names).await;
    assert_eq!(rig.ask::<usize>(&["ZCARD", WORKERS]).await, 1);
    assert_eq!(rig.svix.calls(Pattern::create()), 5000);
    assert_eq!(rig.svix.applications().len(), 5000);

    worker.stop().await;
    rig.holds_only(&[].into()).await;
}

#[tokio::test]
async fn redis_losing_everything_costs_time_and_nothing_else() {
    let rig = Rig::start().await;
    let slow = Fault::Latency(Duration::from_millis(50));
    rig.svix.fault(Pattern::create(), slow).until_cleared();
    rig.due_rows(400).await;
    let _worker = rig.work();
    let mut name = rig.workers(1).await.pop_first().unwrap();
    rig.keep_sweeping();

    for calls in [20, 120, 220] {
        rig.svix.wait_for_calls(Pattern::create(), calls).await;
        let () = rig.ask(&["FLUSHALL"]).await;
        name = rig.renamed(&name).await;
    }
    rig.all_done(PATIENCE).await;
    rig.holds_only(&[name].into()).await;
    assert_eq!(
        rig.svix.calls(Pattern::create()),
        400,
        "none was made twice"
    );
    assert_eq!(rig.ask::<usize>(&["LLEN", ACTIVE]).await, 0);
}
