//! The commands that a job costs in Redis, and the bytes that it leaves there.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{Stream, StreamExt};
use shared::queue::Queue;
use tests::eventually;

use crate::queue::queue_test::{ACTIVE, PATIENCE, QueueTest, jobs_without_rows};

/// The number of jobs that are sent at once.
const JOBS: usize = 200;

/// The most commands that a job may cost, on average. Commands within scripts count.
///
/// The push costs three commands a job (its data, its metadata, its place in the queue),
/// the fetch one (its metadata), and the settling three (the inflight entry, the data, the
/// metadata) and a script, which jobs share if they end together. What remains is for the
/// commands of a whole batch.
const COMMANDS_PER_JOB: usize = 9;

/// A kind of command: its name and its first argument, which is a key or a script.
type Kind = (String, String);

/// Returns the kind of a command that `MONITOR` shows.
fn kind(line: &str) -> Kind {
    let mut parts = line.split('"').skip(1).step_by(2).map(str::to_lowercase);
    let mut next = || parts.next().unwrap_or_default();
    (next(), next())
}

/// Returns a line for each command that Redis runs from now on.
async fn monitor(test: &QueueTest) -> impl Stream<Item = String> + Unpin + use<> {
    let client = redis::Client::open(test.redis.url()).unwrap();
    let monitor = client.get_async_monitor().await.unwrap();
    monitor.into_on_message()
}

/// Sends a marker to Redis, and returns the commands before it that were not read yet.
async fn commands(
    test: &QueueTest,
    monitor: &mut (impl Stream<Item = String> + Unpin),
) -> Vec<Kind> {
    let marker = uuid::Uuid::new_v4().to_string();
    let _: String = test.run_command(&["ECHO", &marker]).await;
    let mut commands = Vec::new();
    loop {
        let line = monitor.next().await.expect("Redis is running");
        if line.contains(&marker) {
            return commands;
        }
        commands.push(kind(&line));
    }
}

/// Returns the size of each key in Redis, in bytes.
async fn sizes(test: &QueueTest) -> BTreeMap<String, usize> {
    let mut sizes = BTreeMap::new();
    for key in test.keys().await {
        let all_elements = ["MEMORY", "USAGE", &key, "SAMPLES", "0"];
        let size = test.run_command(&all_elements).await;
        sizes.insert(key, size);
    }
    sizes
}

#[tokio::test]
async fn a_job_costs_few_commands_and_leaves_no_bytes() {
    let test = QueueTest::start().await;
    let mut monitor = monitor(&test).await;
    let _worker = test.start_worker();
    test.workers(1).await;

    // The first jobs load the scripts.
    let jobs = test.due_rows(20).await;
    test.push(&jobs).await;
    test.all_done(PATIENCE).await;
    test.holds_only(1).await;
    commands(&test, &mut monitor).await;

    // What an idle worker sends depends on the time that passes, so it is not counted: its
    // looks for jobs, its heartbeats, and the commands of this test.
    let heartbeat = async || test.queue.workers().await.unwrap()[0].last_heartbeat;
    let first = heartbeat().await;
    eventually(
        "the worker sends a heartbeat",
        PATIENCE,
        heartbeat,
        |last| *last != first,
    )
    .await;
    test.holds_only(1).await;
    let before = sizes(&test).await;
    let idle: BTreeSet<Kind> = commands(&test, &mut monitor).await.into_iter().collect();

    let jobs = test.due_rows(JOBS).await;
    test.push(&jobs).await;
    test.all_done(PATIENCE).await;
    test.holds_only(1).await;
    let mut counts = BTreeMap::new();
    let mut total = 0;
    for (name, argument) in commands(&test, &mut monitor).await {
        if !idle.contains(&(name.clone(), argument)) {
            *counts.entry(name).or_insert(0) += 1;
            total += 1;
        }
    }
    tests::report(&format!(
        "{JOBS} jobs cost {total} commands in Redis: {counts:?}"
    ));
    assert!(total >= JOBS, "the jobs were not seen: {counts:?}");
    assert!(total <= COMMANDS_PER_JOB * JOBS, "{total}: {counts:?}");
    assert_eq!(sizes(&test).await, before);
}

#[tokio::test]
async fn a_push_that_has_room_runs_two_scripts() {
    let test = QueueTest::start().await;
    let mut monitor = monitor(&test).await;

    test.push(&jobs_without_rows(1)).await; // reads the depth, and loads the scripts
    commands(&test, &mut monitor).await;
    for job in jobs_without_rows(5) {
        test.push(&[job]).await;
    }
    let commands = commands(&test, &mut monitor).await;
    let scripts = commands.iter().filter(|(name, _)| name == "evalsha");
    assert_eq!(scripts.count(), 10, "the push, and the wake-up");
    // Once within each script that wakes the workers.
    let depths = commands.iter().filter(|(name, _)| name == "llen");
    assert_eq!(depths.count(), 5, "{commands:?}");
}

/// The wake-up does not wait for the answer to the push.
#[tokio::test]
async fn a_push_costs_one_round_trip() {
    let test = QueueTest::start().await;
    test.push(&jobs_without_rows(1)).await; // reads the depth, and loads the scripts
    let active = async || test.run_command::<usize>(&["LLEN", ACTIVE]).await;
    assert_eq!(active().await, 1);
    test.redis.signal("STOP");
    test.queue.push(&jobs_without_rows(1)).await.unwrap_err();
    test.redis.signal("CONT");
    eventually(
        "the second job can be fetched",
        PATIENCE,
        active,
        |active| *active == 2,
    )
    .await;
}
