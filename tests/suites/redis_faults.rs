//! Redis fails in every way it can, under load: no mint is refused or slowed,
//! and afterwards everything is provisioned without a restart of anything.
//!
//! One case at a time, as each compares times of answers.

use std::time::Duration;

use tests::load::{all_created, p99};
use tests::{Deployment, Load, Plan, RedisServer, eventually};
use tokio::sync::Mutex;
use tokio::time::Instant;

static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// How long everything may take to be provisioned once Redis is well again.
const RECOVERY: Duration = Duration::from_secs(30);
/// How much slower the slowest of 100 answers may be during the fault.
const SLACK: Duration = Duration::from_millis(50);

/// Runs `fault` under load, and checks what the partner sees of it: nothing.
async fn nothing_is_lost_when(
    what: &str,
    mut deployment: Deployment,
    fault: impl AsyncFnOnce(&mut Deployment),
) {
    let load = Load::start(&deployment, 4000).await;
    load.answers(150).await;
    let began = Instant::now();
    fault(&mut deployment).await;
    let ended = Instant::now();
    load.answers(50).await;
    let mints = load.stop().await;
    deployment.all_provisioned(RECOVERY).await;
    let recovered = ended.elapsed();

    all_created(&mints);
    let (before, during): (Vec<_>, Vec<_>) = mints.iter().partition(|mint| mint.sent < began);
    let (before, during) = (p99(before), p99(during));
    println!(
        "{what}: {} mints all 201; p99 {before:?} before, {during:?} during and after; all \
         provisioned {recovered:?} after",
        mints.len(),
    );
    assert!(
        during < before + SLACK,
        "mints were slowed: {before:?} to {during:?}"
    );
    assert_eq!(deployment.svix.applications().len(), mints.len());
    for process in &mut deployment.in_production_mut().workers {
        assert!(process.is_running(), "nothing was restarted");
    }
}

/// Waits until the fault was noticed: without that it proves nothing.
async fn worker_noticed(deployment: &Deployment) {
    let log = || async { deployment.in_production().workers[0].log() };
    eventually("the worker notices", Duration::from_secs(20), log, |log| {
        log.contains("the queue loop died")
    })
    .await;
}

async fn for_a_while(time: Duration) {
    tokio::time::sleep(time).await; // the length of the fault, not a wait for anything
}

#[tokio::test]
async fn redis_is_killed_and_comes_back_empty() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let deployment = Deployment::production(1).await;
    nothing_is_lost_when("SIGKILL", deployment, async |deployment| {
        deployment.in_production_mut().redis.kill().await;
        worker_noticed(deployment).await;
        deployment.in_production_mut().redis.restart().await;
    })
    .await;
}

#[tokio::test]
async fn redis_is_flushed() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let deployment = Deployment::production(1).await;
    nothing_is_lost_when("FLUSHALL", deployment, async |deployment| {
        let mut redis = deployment.in_production().redis.connection().await;
        let () = redis::cmd("FLUSHALL")
            .query_async(&mut redis)
            .await
            .unwrap();
        worker_noticed(deployment).await;
    })
    .await;
}

#[tokio::test]
async fn redis_is_stopped_for_thirty_seconds() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let deployment = Deployment::production(1).await;
    nothing_is_lost_when("stopped for 30 s", deployment, async |deployment| {
        deployment.in_production_mut().redis.kill().await;
        for_a_while(Duration::from_secs(30)).await;
        worker_noticed(deployment).await;
        deployment.in_production_mut().redis.restart().await;
    })
    .await;
}

#[tokio::test]
async fn redis_freezes_for_five_seconds() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let deployment = Deployment::production(1).await;
    nothing_is_lost_when("frozen for 5 s", deployment, async |deployment| {
        deployment.in_production().redis.signal("STOP");
        for_a_while(Duration::from_secs(5)).await;
        worker_noticed(deployment).await;
        deployment.in_production().redis.signal("CONT");
    })
    .await;
}

/// Makes Redis refuse writes by one setting, and take them again by another.
async fn redis_refuses_writes(what: &str, refuse: &[&str], accept: &[&str]) {
    let _turn = ONE_AT_A_TIME.lock().await;
    let deployment = Deployment::production(1).await;
    nothing_is_lost_when(what, deployment, async |deployment| {
        let mut redis = deployment.in_production().redis.connection().await;
        let mut tell = async |words: &[&str]| {
            let mut command = redis::cmd(words[0]);
            let () = command
                .arg(&words[1..])
                .query_async(&mut redis)
                .await
                .unwrap();
        };
        tell(refuse).await;
        worker_noticed(deployment).await;
        for_a_while(Duration::from_secs(3)).await;
        tell(accept).await;
    })
    .await;
}

#[tokio::test]
async fn redis_is_out_of_memory() {
    redis_refuses_writes(
        "maxmemory reached",
        &[
            "CONFIG",
            "SET",
            "maxmemory",
            "1",
            "maxmemory-policy",
            "noeviction",
        ],
        &["CONFIG", "SET", "maxmemory", "0"],
    )
    .await;
}

#[tokio::test]
async fn redis_is_a_read_only_replica() {
    redis_refuses_writes(
        "read-only replica",
        &["REPLICAOF", "127.0.0.1", "1"],
        &["REPLICAOF", "NO", "ONE"],
    )
    .await;
}

#[tokio::test]
async fn redis_wants_another_password_at_the_start() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let redis = RedisServer::start_with(&["--requirepass", "right"]).await;
    let port = redis.port();
    let env = vec![("REDIS_URL", format!("redis://:wrong@127.0.0.1:{port}/"))];
    let plan = Plan {
        redis: Some(redis),
        workers: 1,
        env,
        ..Plan::default()
    };
    let deployment = Deployment::planned(plan).await;
    nothing_is_lost_when("wrong password", deployment, async |deployment| {
        worker_noticed(deployment).await;
        let client = redis::Client::open(format!("redis://:right@127.0.0.1:{port}/")).unwrap();
        let mut redis = client.get_multiplexed_async_connection().await.unwrap();
        let mut command = redis::cmd("CONFIG");
        command.arg(&["SET", "requirepass", "wrong"]);
        let () = command.query_async(&mut redis).await.unwrap();
    })
    .await;
}
