//! Memory use does not grow: 50,000 jobs leave no data in Redis and no memory in use in the
//! workers, and 10,000 requests leave none in use in the API.

use std::time::Duration;

use sqlx::PgPool;
use tests::backlog::{insert_due_rows, provisioned};
use tests::{Deployment, Process, RedisServer, eventually};

/// The number of jobs before the first measurement. They fill the pools and caches.
const WARM_UP: usize = 5_000;
/// The number of jobs in total.
const JOBS: usize = 50_000;
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

/// Inserts `more` due rows, and waits until they are provisioned.
async fn provision_rows(pool: &PgPool, more: usize) {
    let target = provisioned(pool).await + more;
    insert_due_rows(pool, more).await;
    let done = || async { provisioned(pool).await };
    eventually(
        "all rows are provisioned",
        Duration::from_mins(8),
        done,
        |done| *done == target,
    )
    .await;
}

#[tokio::test]
async fn fifty_thousand_jobs_leave_no_data_in_redis_and_no_memory_in_use() {
    let _turn = tests::heavy().await;
    let deployment = Deployment::production(2).await;
    let redis = &deployment.in_production().redis;
    let pool = deployment.in_production().database.pool().await;
    provision_rows(&pool, WARM_UP).await;
    let drained = || redis_usage(redis);
    let few = |(_, keys): &(u64, Vec<String>)| keys.len() <= 4;
    let (bytes, keys) = eventually("Redis is drained", Duration::from_secs(10), drained, few).await;
    let memory: Vec<f64> = deployment
        .in_production()
        .workers
        .iter()
        .map(resident)
        .collect();

    provision_rows(&pool, JOBS - WARM_UP).await;
    let same = |(_, now): &(u64, Vec<String>)| *now == keys;
    let (bytes_after, _) = eventually(
        "Redis holds the same keys",
        Duration::from_secs(10),
        drained,
        same,
    )
    .await;
    let memory_after: Vec<f64> = deployment
        .in_production()
        .workers
        .iter()
        .map(resident)
        .collect();

    println!("Redis: {keys:?}, {bytes} B after {WARM_UP} jobs, {bytes_after} B after {JOBS}");
    println!("resident memory of the workers: {memory:?} kB, then {memory_after:?} kB");
    assert!(
        bytes_after <= bytes + 1024,
        "{bytes} B, then {bytes_after} B"
    );
    for (before, after) in memory.iter().zip(memory_after) {
        assert!(after < before * SLACK, "{before} kB, then {after} kB");
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
