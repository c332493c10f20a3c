//! Row 4: names. A worker that dies comes back under a new one, and what the
//! old one left is forgotten.

use std::sync::Arc;
use std::time::Duration;

use svix_simulator::{Fault, Pattern};
use tests::eventually;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::rig::{ACTIVE, DATA, INFLIGHT, META, PATIENCE, QUEUES, Rig, WORKER, WORKERS, queue};

/// Longer than any clock is off and any worker is busy: dead.
const DEAD: Duration = Duration::from_secs(91);

#[tokio::test]
async fn a_loop_that_died_comes_back_under_a_new_name_and_the_old_one_is_forgotten() {
    let rig = Rig::start().await;
    let worker = rig.work();
    let mut name = rig.workers(1).await.pop_first().unwrap();
    for _ in 0..3 {
        // Its next fetch is refused, which is fatal to the loop.
        let () = rig.ask(&["ZREM", WORKERS, &name]).await;
        let renamed = rig.renamed(&name).await;
        rig.holds_only(1).await;
        assert_eq!(rig.names().await, [renamed.clone()].into());
        name = renamed;
    }
    let jobs = rig.due_rows(20).await;
    rig.push(&jobs).await;
    rig.all_done(PATIENCE).await;
    worker.stop().await;
    rig.holds_only(0).await;
}

#[tokio::test]
async fn workers_of_one_process_have_names_of_their_own_and_share_the_work() {
    let rig = Rig::start().await;
    let slow = Fault::Latency(Duration::from_millis(500));
    rig.svix.fault(Pattern::create(), slow).until_cleared();
    let (one, other) = (rig.work(), rig.work());
    let names = rig.workers(2).await;

    let jobs = rig.due_rows(100).await;
    rig.push(&jobs).await;
    let fetched = async || {
        let mut fetched = Vec::new();
        for name in &names {
            let set = format!("{INFLIGHT}:{name}");
            fetched.push(rig.ask::<usize>(&["SCARD", &set]).await);
        }
        fetched
    };
    eventually("both have jobs", PATIENCE, fetched, |fetched| {
        fetched.iter().all(|jobs| *jobs > 0)
    })
    .await;
    rig.all_done(PATIENCE).await;
    assert_eq!(
        rig.svix.calls(Pattern::create()),
        100,
        "none was made twice"
    );

    one.stop().await;
    let left = rig.workers(1).await;
    assert!(left.is_subset(&names));
    rig.holds_only(1).await;
    other.stop().await;
    rig.holds_only(0).await;
}

/// Runs a worker in a runtime of its own, so that all of it can be ended
/// between two instructions, as SIGKILL does; until it has fetched.
async fn killed_with_jobs(rig: &Rig) -> String {
    let runtime = Runtime::new().unwrap();
    let entered = runtime.enter();
    let queue = queue(&rig.redis, rig.clock.clone());
    let queue_loop = rig.queue_loop(rig.db.another().await, Arc::new(queue));
    drop(entered);
    runtime.spawn(queue_loop.run(CancellationToken::new()));

    let name = rig.workers(1).await.pop_first().unwrap();
    let inflight = format!("{INFLIGHT}:{name}");
    let fetched = async || rig.ask::<usize>(&["SCARD", &inflight]).await;
    eventually("it has fetched", PATIENCE, fetched, |jobs| *jobs > 0).await;
    runtime.shutdown_background();
    name
}

#[tokio::test]
async fn a_killed_worker_is_retired_once_it_is_surely_dead_with_what_it_had_fetched() {
    let rig = Rig::start().await;
    rig.svix
        .fault(Pattern::create(), Fault::Hang)
        .until_cleared();
    let jobs = rig.due_rows(30).await;
    rig.push(&jobs).await;
    let dead = killed_with_jobs(&rig).await;
    let waiting: usize = rig.ask(&["LLEN", ACTIVE]).await;
    let stored: usize = rig.ask(&["HLEN", DATA]).await;
    assert!(
        waiting < stored,
        "some were fetched: {waiting} of {stored} wait"
    );

    assert_eq!(rig.queue.retire_dead().await.unwrap(), 0, "not dead yet");
    assert!(rig.names().await.contains(&dead));

    rig.clock.advance(DEAD);
    assert_eq!(rig.queue.retire_dead().await.unwrap(), 1);
    assert!(rig.names().await.is_empty());
    let traces = rig
        .keys()
        .await
        .into_iter()
        .filter(|key| key.contains(&dead));
    assert_eq!(traces.count(), 0);
    assert_eq!(rig.ask::<usize>(&["HLEN", DATA]).await, waiting);
    let keys = rig.keys().await.into_iter();
    let meta = keys.filter(|key| key.starts_with(META)).count();
    assert_eq!(meta, waiting);

    // The rows are the truth: what the dead worker had is sent again.
    rig.svix.clear_faults();
    let _worker = rig.work();
    let _sweep = rig.keep_sweeping();
    rig.all_done(PATIENCE).await;
}

#[tokio::test]
async fn a_worker_that_lives_is_not_retired_with_the_dead() {
    let rig = Rig::start().await;
    let now = rig.clock.now().as_micros() / 1_000_000;
    for (name, silent_for) in [("dead", 92), ("alive", 85)] {
        let inflight = format!("{INFLIGHT}:{name}");
        let last_sign = (now - silent_for).to_string();
        let () = rig.ask(&["ZADD", WORKERS, &last_sign, name]).await;
        let () = rig.ask(&["SADD", &inflight, name]).await;
        let () = rig.ask(&["HSET", DATA, name, "a job"]).await;
        let () = rig
            .ask(&["HSET", &format!("{META}:{name}"), "attempts", "0"])
            .await;
        let () = rig
            .ask(&["HSET", &format!("{WORKER}:{name}"), "service", "x"])
            .await;
    }
    assert_eq!(rig.queue.retire_dead().await.unwrap(), 1);
    let left = [
        WORKERS.to_owned(),
        DATA.to_owned(),
        format!("{INFLIGHT}:alive"),
        format!("{META}:alive"),
        format!("{WORKER}:alive"),
    ];
    assert_eq!(rig.keys().await, left.into());
    assert_eq!(rig.names().await, ["alive".to_owned()].into());
    let data: Vec<String> = rig.ask(&["HKEYS", DATA]).await;
    assert_eq!(data, ["alive"]);
}

#[tokio::test]
async fn a_stop_lets_jobs_under_way_finish_and_leaves_the_rest_to_the_sweep() {
    let rig = Rig::start().await;
    let slow = Fault::Latency(Duration::from_millis(300));
    rig.svix.fault(Pattern::create(), slow).until_cleared();
    let jobs = rig.due_rows(60).await;
    rig.push(&jobs).await;
    let worker = rig.work();
    rig.svix.wait_for_calls(Pattern::create(), 1).await;
    worker.stop().await;

    let after = rig.db.store.backlog(rig.clock.now()).await.unwrap();
    assert_eq!(after.leased, 0, "what was begun was finished: {after:?}");
    assert!(after.due > 0, "there was more than it had begun: {after:?}");
    let done = u64::try_from(60 - after.due).unwrap();
    assert_eq!(rig.svix.calls(Pattern::create()), done);
    let keys = rig.keys().await;
    assert!(keys.contains(QUEUES), "{keys:?}");
    let is_workers = |key: &&String| key.starts_with(WORKERS) || key.starts_with(INFLIGHT);
    assert_eq!(keys.iter().find(is_workers), None);

    rig.svix.clear_faults();
    let _another = rig.work();
    let _sweep = rig.keep_sweeping();
    rig.all_done(PATIENCE).await;
}
