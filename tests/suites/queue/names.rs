//! Row 4 of the decision. A worker loop that died restarts under a new name, and the data of
//! the old name is deleted.

use std::sync::Arc;
use std::time::Duration;

use svix_simulator::{Fault, Pattern};
use tests::eventually;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::queue_test::{ACTIVE, DATA, INFLIGHT, META, PATIENCE, QueueTest, WORKERS, queue};

/// The silence after which a worker is dead. It is longer than any difference between clocks
/// and any job.
const DEAD_AFTER: Duration = Duration::from_secs(91);

#[tokio::test]
async fn a_loop_that_died_restarts_under_a_new_name_and_the_old_name_is_deleted() {
    let test = QueueTest::start().await;
    let worker = test.start_worker();
    let mut name = test.workers(1).await.pop_first().unwrap();
    for _ in 0..3 {
        // The next fetch of the worker is refused, which ends its loop.
        let () = test.run_command(&["ZREM", WORKERS, &name]).await;
        let renamed = test.renamed(&name).await;
        test.holds_only(1).await;
        assert_eq!(test.names().await, [renamed.clone()].into());
        name = renamed;
    }
    let jobs = test.due_rows(20).await;
    test.push(&jobs).await;
    test.all_done(PATIENCE).await;
    worker.stop().await;
    test.holds_only(0).await;
}

#[tokio::test]
async fn two_workers_of_one_process_have_different_names_and_share_the_work() {
    let test = QueueTest::start().await;
    let slow = Fault::Latency(Duration::from_millis(500));
    test.svix.fault(Pattern::create(), slow).until_cleared();
    let (one, other) = (test.start_worker(), test.start_worker());
    let names = test.workers(2).await;

    let jobs = test.due_rows(100).await;
    test.push(&jobs).await;
    let fetched = async || {
        let mut fetched = Vec::new();
        for name in &names {
            let set = format!("{INFLIGHT}:{name}");
            fetched.push(test.run_command::<usize>(&["SCARD", &set]).await);
        }
        fetched
    };
    eventually(
        "both workers have fetched jobs",
        PATIENCE,
        fetched,
        |fetched| fetched.iter().all(|jobs| *jobs > 0),
    )
    .await;
    test.all_done(PATIENCE).await;
    assert_eq!(
        test.svix.calls(Pattern::create()),
        100,
        "no attempt was made twice"
    );

    one.stop().await;
    let left = test.workers(1).await;
    assert!(left.is_subset(&names));
    test.holds_only(1).await;
    other.stop().await;
    test.holds_only(0).await;
}

/// Runs a worker until it has fetched jobs, and then ends it. Returns its name. The worker has
/// its own runtime, so that it can be ended at any point, like a process that is killed.
async fn kill_worker_with_jobs(test: &QueueTest) -> String {
    let runtime = Runtime::new().unwrap();
    let entered = runtime.enter();
    let queue = queue(&test.redis, test.clock.clone());
    let queue_loop = test.queue_loop(test.db.another().await, Arc::new(queue));
    drop(entered);
    runtime.spawn(queue_loop.run(CancellationToken::new()));

    let name = test.workers(1).await.pop_first().unwrap();
    let inflight = format!("{INFLIGHT}:{name}");
    let fetched = async || test.run_command::<usize>(&["SCARD", &inflight]).await;
    eventually("the worker has fetched jobs", PATIENCE, fetched, |jobs| {
        *jobs > 0
    })
    .await;
    runtime.shutdown_background();
    name
}

#[tokio::test]
async fn a_killed_worker_and_its_fetched_jobs_are_removed_once_it_is_considered_dead() {
    let test = QueueTest::start().await;
    test.svix
        .fault(Pattern::create(), Fault::Hang)
        .until_cleared();
    let jobs = test.due_rows(30).await;
    test.push(&jobs).await;
    let dead = kill_worker_with_jobs(&test).await;
    let waiting: usize = test.run_command(&["LLEN", ACTIVE]).await;
    let stored: usize = test.run_command(&["HLEN", DATA]).await;
    assert!(
        waiting < stored,
        "the worker fetched some jobs: {waiting} of {stored} wait"
    );

    assert_eq!(
        test.queue.retire_dead().await.unwrap(),
        0,
        "the worker is not considered dead yet"
    );
    assert!(test.names().await.contains(&dead));

    test.clock.advance(DEAD_AFTER);
    assert_eq!(test.queue.retire_dead().await.unwrap(), 1);
    assert!(test.names().await.is_empty());
    let traces = test
        .keys()
        .await
        .into_iter()
        .filter(|key| key.contains(&dead));
    assert_eq!(traces.count(), 0);
    assert_eq!(test.run_command::<usize>(&["HLEN", DATA]).await, waiting);
    let keys = test.keys().await.into_iter();
    let meta = keys.filter(|key| key.starts_with(META)).count();
    assert_eq!(meta, waiting);

    // The jobs of the dead worker are sent again from the rows.
    test.svix.clear_faults();
    let _worker = test.start_worker();
    let _sweep = test.start_sweep();
    test.all_done(PATIENCE).await;
}

#[tokio::test]
async fn only_dead_workers_are_removed() {
    let test = QueueTest::start().await;
    let now = test.clock.now().as_micros() / 1_000_000;
    for (name, silent_for) in [("dead", 92), ("alive", 85)] {
        let inflight = format!("{INFLIGHT}:{name}");
        let last_sign = (now - silent_for).to_string();
        let () = test.run_command(&["ZADD", WORKERS, &last_sign, name]).await;
        let () = test.run_command(&["SADD", &inflight, name]).await;
        let () = test.run_command(&["HSET", DATA, name, "a job"]).await;
        let () = test
            .run_command(&["HSET", &format!("{META}:{name}"), "attempts", "0"])
            .await;
    }
    assert_eq!(test.queue.retire_dead().await.unwrap(), 1);
    let left = [
        WORKERS.to_owned(),
        DATA.to_owned(),
        format!("{INFLIGHT}:alive"),
        format!("{META}:alive"),
    ];
    assert_eq!(test.keys().await, left.into());
    assert_eq!(test.names().await, ["alive".to_owned()].into());
    let data: Vec<String> = test.run_command(&["HKEYS", DATA]).await;
    assert_eq!(data, ["alive"]);
}

#[tokio::test]
async fn a_stopped_worker_finishes_its_jobs_and_leaves_the_rest_to_the_sweep() {
    let test = QueueTest::start().await;
    let slow = Fault::Latency(Duration::from_millis(300));
    test.svix.fault(Pattern::create(), slow).until_cleared();
    let jobs = test.due_rows(60).await;
    test.push(&jobs).await;
    let worker = test.start_worker();
    test.svix.wait_for_calls(Pattern::create(), 1).await;
    worker.stop().await;

    let after = test.db.store.backlog(test.clock.now()).await.unwrap();
    assert_eq!(
        after.leased, 0,
        "every job that was begun was finished: {after:?}"
    );
    assert!(after.due > 0, "some jobs were not begun: {after:?}");
    let done = u64::try_from(60 - after.due).unwrap();
    assert_eq!(test.svix.calls(Pattern::create()), done);
    let keys = test.keys().await;
    assert!(keys.contains(DATA), "{keys:?}");
    let is_workers = |key: &&String| key.starts_with(WORKERS) || key.starts_with(INFLIGHT);
    assert_eq!(keys.iter().find(is_workers), None);

    test.svix.clear_faults();
    let _another = test.start_worker();
    let _sweep = test.start_sweep();
    test.all_done(PATIENCE).await;
}
