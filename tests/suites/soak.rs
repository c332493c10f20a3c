//! 50,000 jobs leave nothing behind: not in Redis, not in the processes.

use std::time::Duration;

use sqlx::PgPool;
use tests::backlog::{insert_due_rows, provisioned};
use tests::{Deployment, Process, RedisServer, eventually};

/// Jobs before the first measurement, so that pools and caches have filled.
const WARM_UP: usize = 5_000;
/// Jobs in all.
const JOBS: usize = 50_000;
/// How much more a process may use than after the warm-up: noise of allocators.
const SLACK: f64 = 1.25;

/// The keys in Redis and the bytes that they use together. Of the server's own
/// figure more is buffers and scripts than our data.
async fn redis_use(redis: &RedisServer) -> (u64, Vec<String>) {
    let mut connection = redis.connection().await;
    let mut all = redis::cmd("KEYS");
    let mut keys: Vec<String> = all.arg("*").query_async(&mut connection).await.unwrap();
    keys.sort();
    let mut sum = 0;
    for key in &keys {
        let mut usage = redis::cmd("MEMORY");
        usage.arg("USAGE").arg(key).arg("SAMPLES").arg(0);
        let bytes: Option<u64> = usage.query_async(&mut connection).await.unwrap();
        sum += bytes.unwrap_or(0); // gone meanwhile
    }
    (sum, keys)
}

/// Resident memory of a process, in kB.
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

async fn work_off(pool: &PgPool, more: usize) {
    let target = provisioned(pool).await + more;
    insert_due_rows(pool, more).await;
    let done = || async { provisioned(pool).await };
    eventually("worked off", Duration::from_mins(8), done, |done| {
        *done == target
    })
    .await;
}

#[tokio::test]
async fn fifty_thousand_jobs_leave_nothing_behind() {
    let deployment = Deployment::production(2).await;
    let redis = &deployment.in_production().redis;
    let pool = deployment.in_production().database.pool().await;
    work_off(&pool, WARM_UP).await;
    let drained = || redis_use(redis);
    let few = |(_, keys): &(u64, Vec<String>)| keys.len() <= 4;
    let (bytes, keys) = eventually("Redis is drained", Duration::from_secs(10), drained, few).await;
    let memory: Vec<f64> = deployment
        .in_production()
        .workers
        .iter()
        .map(resident)
        .collect();

    work_off(&pool, JOBS - WARM_UP).await;
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
    println!("workers, resident: {memory:?} kB, then {memory_after:?} kB");
    assert!(
        bytes_after <= bytes + 1024,
        "{bytes} B, then {bytes_after} B"
    );
    for (before, after) in memory.iter().zip(memory_after) {
        assert!(after < before * SLACK, "{before} kB, then {after} kB");
    }
}

#[tokio::test]
async fn ten_thousand_requests_leave_the_api_as_it_was() {
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
    println!("api, resident: {before} kB after 1,800 requests, {after} kB after 10,200");
    assert!(after < before * SLACK, "{before} kB, then {after} kB");
}
