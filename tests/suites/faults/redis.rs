//! Redis fails in many ways, under load: no creation is refused or waits for Redis,
//! and afterwards everything is provisioned without a restart of any process.

use std::time::Duration;

use svix_simulator::Pattern;
use tests::load::{all_created, p99};
use tests::{Deployment, Load, Plan, RedisServer, eventually};
use tokio::time::Instant;

/// The deadline for provisioning everything once Redis works again.
const RECOVERY: Duration = Duration::from_mins(1);

/// Runs `fault` under load and checks that no partner notices it. The times are
/// printed only, because they depend on the machine.
async fn nothing_is_lost_when(
    what: &str,
    mut deployment: Deployment,
    fault: impl AsyncFnOnce(&mut Deployment),
) {
    let load = Load::start(&deployment, 2500).await;
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
        "{what}: {} creations, all answered 201; p99 {before:?} before the fault, {during:?} during \
         and after it; all provisioned {recovered:?} after it",
        mints.len(),
    );
    assert_eq!(deployment.svix.applications().len(), mints.len());
    for process in &mut deployment.in_production_mut().workers {
        assert!(process.is_running(), "the worker still runs");
    }
}

/// Waits until the worker has noticed the fault. Without that, a case proves nothing.
async fn wait_until_worker_notices(deployment: &Deployment) {
    let log = || async { deployment.in_production().workers[0].log() };
    eventually(
        "the worker notices the fault",
        Duration::from_secs(20),
        log,
        |log| log.contains("the queue loop died"),
    )
    .await;
}

/// Keeps the fault for the given time.
async fn keep_fault_for(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Redis is frozen before the API starts, and no worker runs. So no answer can depend
/// on Redis or Svix, however fast or slow the machine is.
#[tokio::test]
async fn keys_are_created_while_redis_is_frozen_and_svix_is_not_called() {
    let redis = RedisServer::start().await;
    redis.signal("STOP");
    let mut deployment = Deployment::planned(Plan {
        redis: Some(redis),
        ..Plan::default()
    })
    .await;
    let sessions = deployment.sessions(200).await;
    for session in &sessions {
        assert_eq!(deployment.client.create(session).await.status, 201);
    }
    assert_eq!(deployment.svix.calls(Pattern::any()), 0);

    deployment.in_production().redis.signal("CONT");
    deployment.start_worker().await;
    deployment.all_provisioned(RECOVERY).await;
    assert_eq!(deployment.svix.applications().len(), sessions.len());
}

#[tokio::test]
async fn redis_is_killed_and_restarts_empty() {
    let deployment = Deployment::production(1).await;
    nothing_is_lost_when("SIGKILL", deployment, async |deployment| {
        deployment.in_production_mut().redis.kill().await;
        wait_until_worker_notices(deployment).await;
        deployment.in_production_mut().redis.restart().await;
    })
    .await;
}

#[tokio::test]
async fn redis_is_flushed() {
    let deployment = Deployment::production(1).await;
    nothing_is_lost_when("FLUSHALL", deployment, async |deployment| {
        let mut redis = deployment.in_production().redis.connection().await;
        let () = redis::cmd("FLUSHALL")
            .query_async(&mut redis)
            .await
            .unwrap();
        wait_until_worker_notices(deployment).await;
    })
    .await;
}

#[tokio::test]
async fn redis_is_stopped_for_thirty_seconds() {
    let deployment = Deployment::production(1).await;
    nothing_is_lost_when("stopped for 30 s", deployment, async |deployment| {
        deployment.in_production_mut().redis.kill().await;
        keep_fault_for(Duration::from_secs(30)).await;
        wait_until_worker_notices(deployment).await;
        deployment.in_production_mut().redis.restart().await;
    })
    .await;
}

#[tokio::test]
async fn redis_freezes_for_five_seconds() {
    let deployment = Deployment::production(1).await;
    nothing_is_lost_when("frozen for 5 s", deployment, async |deployment| {
        deployment.in_production().redis.signal("STOP");
        keep_fault_for(Duration::from_secs(5)).await;
        wait_until_worker_notices(deployment).await;
        deployment.in_production().redis.signal("CONT");
    })
    .await;
}

/// Makes Redis refuse writes by one setting, and accept them again by another.
async fn redis_refuses_writes(what: &str, refuse: &[&str], accept: &[&str]) {
    let deployment = Deployment::production(1).await;
    nothing_is_lost_when(what, deployment, async |deployment| {
        let mut redis = deployment.in_production().redis.connection().await;
        let mut run = async |words: &[&str]| {
            let mut command = redis::cmd(words[0]);
            let () = command
                .arg(&words[1..])
                .query_async(&mut redis)
                .await
                .unwrap();
        };
        run(refuse).await;
        wait_until_worker_notices(deployment).await;
        keep_fault_for(Duration::from_secs(3)).await;
        run(accept).await;
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
async fn redis_refuses_the_password_at_first() {
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
        wait_until_worker_notices(deployment).await;
        let client = redis::Client::open(format!("redis://:right@127.0.0.1:{port}/")).unwrap();
        let mut redis = client.get_multiplexed_async_connection().await.unwrap();
        let mut command = redis::cmd("CONFIG");
        command.arg(&["SET", "requirepass", "wrong"]);
        let () = command.query_async(&mut redis).await.unwrap();
    })
    .await;
}
