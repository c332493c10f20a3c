//! Two workers process 50,000 jobs, 45,000 of them as one backlog: each once, through a
//! queue that stays bounded, and without growing use of Redis or memory. 10,000 requests
//! leave no memory in use in the API.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use shared::clock::Clock;
use shared::config::RedisConfig;
use shared::queue::{DEPTH_LIMIT, Queue, RedisQueue};
use sqlx::PgPool;
use svix_simulator::Route;
use tests::backlog::{insert_due_rows, provisioned};
use tests::{Deployment, Process, RedisServer, eventually};

/// The number of jobs before the first measurement. They fill the pools and caches.
const WARM_UP: usize = 5_000;
/// The number of jobs in total.
const JOBS: usize = 50_000;
/// The number of jobs by which the queue may exceed the limit. The sweeps of two workers
/// may read the same depth and then push a chunk of 100 jobs each.
const OVERSHOOT: usize = 2 * 100;
/// The factor by which a process may use more memory than after the warm-up. It allows for
/// the noise of allocators.
const SLACK: f64 = 1.25;

/// Returns the bytes that the keys in Redis use together, and the keys. The memory use that
/// the server reports is mostly buffers and scripts, not our data.
async fn redis_usage(redis: &RedisServer) -> (u64, Vec<String>) {
    let mut connection = redis.connection().await;
    let mut all = redis::cmd("KEYS");
    let mut keys: Vec<String> = all.arg("*").query_async(&mut connection).await.unwrap();
    keys.sort();
    let mut sum = 0;
    for key in &keys {
        let mut usage = redis::cmd("MEMORY");
        usage.arg("USAGE").arg(key).arg("SAMPLES").arg(0);
        let bytes: Option<u64> = usage.query_async(&mut connection).await.unwrap();
        sum += bytes.unwrap_or(0); // deleted in the meantime
    }
    (sum, keys)
}

/// Returns the resident memory of a process in kB.
fn resident(process: &Process) -> f64 {
    let file = format!("/proc/{}/status", process.id().unwrap());
    let status = std::fs::read_to_string(file).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

/// Inserts `more` due rows, and waits until they are provisioned. Returns the greatest depth
/// of the queue that was seen meanwhile.
async fn provision_rows(deployment: &Deployment, pool: &PgPool, more: usize) -> usize {
    let redis = RedisConfig::parse(&deployment.in_production().redis.url()).unwrap();
    let queue = RedisQueue::new(redis, Clock::system());
    let target = provisioned(pool).await + more;
    insert_due_rows(pool, more).await;
    let deepest = AtomicUsize::new(0);
    // Counting the rows each time would keep PostgreSQL busier than the workers do.
    let calls = || async {
        // On a busy machine a sample may take too long. The next one follows at once.
        let depth = queue.depth().await.unwrap_or(0);
        deepest.fetch_max(depth, Ordering::Relaxed);
        deployment.svix.calls(Route::Create)
    };
    let limit = Duration::from_mins(8);
    let enough = |calls: &u64| *calls >= target as u64;
    eventually("Svix was asked for all rows", limit, calls, enough).await;
    let done = || provisioned(pool);
    eventually("all rows are provisioned", limit, done, |done| {
        *done == target
    })
    .await;
    deepest.into_inner()
}

#[tokio::test]
async fn fifty_thousand_jobs_run_once_each_and_leave_no_data_and_no_memory_in_use() {
    let _turn = tests::heavy().await;
    let deployment = Deployment::production(2).await;
    let production = deployment.in_production();
    let (redis, workers) = (&production.redis, &production.workers);
    let pool = production.database.pool().await;
    let memory_of_workers = || -> Vec<f64> { workers.iter().map(resident).collect() };
    let drained = || redis_usage(redis);
    let within = Duration::from_secs(10);

    provision_rows(&deployment, &pool, WARM_UP).await;
    // An idle queue has one key. A few more are there while the last jobs are settled.
    let idle =
        |(_, keys): &(u64, Vec<String>)| matches!(&keys[..], [one] if one.ends_with(":workers"));
    let (bytes, _) = eventually("Redis is drained", within, drained, idle).await;
    let memory = memory_of_workers();

    let deepest = provision_rows(&deployment, &pool, JOBS - WARM_UP).await;
    let (bytes_after, _) = eventually("Redis is drained", within, drained, idle).await;
    let memory_after = memory_of_workers();

    println!("Redis: {bytes} B after {WARM_UP} jobs, {bytes_after} B after {JOBS}");
    println!("resident memory of the workers: {memory:?} kB, then {memory_after:?} kB");
    println!("the greatest depth of the queue was {deepest}");
    assert!(
        bytes_after <= bytes + 1024,
        "{bytes} B, then {bytes_after} B"
    );
    for (before, after) in memory.iter().zip(memory_after) {
        assert!(after < before * SLACK, "{before} kB, then {after} kB");
    }
    assert!(deepest <= DEPTH_LIMIT + OVERSHOOT, "{deepest}");
    assert!(deepest > 0, "no job was ever seen in the queue");
    assert_eq!(deployment.svix.applications().len(), JOBS);
    let calls = deployment.svix.calls(Route::Create);
    assert_eq!(calls, JOBS as u64, "no row was attempted twice");
    for worker in workers {
        let worked = worker.log().contains("provisioned");
        assert!(worked, "each worker processed some rows");
    }
}

#[tokio::test]
async fn ten_thousand_requests_do_not_raise_the_memory_use_of_the_api() {
    let _turn = tests::heavy().await;
    let deployment = Deployment::production(0).await;
    let session = deployment.session().await;
    let requests = async |count: usize| {
        for _ in 0..count {
            assert_eq!(deployment.client.create(&session).await.status, 201);
            assert_eq!(deployment.client.show(&session).await.status, 200);
            assert_eq!(deployment.client.revoke(&session).await.status, 200);
        }
    };
    requests(600).await;
    let before = resident(&deployment.server);
    requests(2800).await;
    let after = resident(&deployment.server);
    println!(
        "resident memory of the API: {before} kB after 1,800 requests, {after} kB after 10,200"
    );
    assert!(after < before * SLACK, "{before} kB, then {after} kB");
}
