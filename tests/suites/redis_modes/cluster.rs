//! Redis Cluster: three masters, each with a replica.

use tests::redis_cluster::RedisCluster;
use tests::{Deployment, Plan, RedisServer, Role, eventually};

use crate::doctor::finds_redis_healthy;

use super::{SOON, all_follow_the_new_master, nothing_is_lost_when};

/// One of the queue's keys. All are in one slot.
const KEY: &str = "partner-keys:{partner-keys}:workers";
/// The channel that wakes the workers.
const WAKE: &str = "partner-keys:{partner-keys}:wake";

/// Waits until this server is a master.
async fn is_promoted(server: &RedisServer) {
    let role = || async {
        let mut redis = server.connection().await;
        let role: Vec<redis::Value> = redis::cmd("ROLE").query_async(&mut redis).await.unwrap();
        redis::from_redis_value::<String>(role[0].clone()).unwrap()
    };
    eventually("the replica is the master", SOON, role, |role| {
        role == "master"
    })
    .await;
}

/// Waits until a worker has subscribed to the channel at this server.
async fn wakes_a_worker(server: &RedisServer) {
    let subscribers = || async {
        let mut command = redis::cmd("PUBSUB");
        command.arg("NUMSUB").arg(WAKE);
        let mut redis = server.connection().await;
        let (_, count): (String, usize) = command.query_async(&mut redis).await.unwrap();
        count
    };
    eventually("the worker listens", SOON, subscribers, |count| *count == 1).await;
}

#[tokio::test]
async fn a_cluster_moves_the_queue_and_fails_over_twice_under_load() {
    let mut cluster = RedisCluster::start().await;
    let owner = cluster.owner(KEY).await;
    let env = vec![("REDIS_URL", cluster.service_url())];
    let mut deployment = Deployment::planned(Plan {
        workers: 1,
        env,
        ..Plan::default()
    })
    .await;
    wakes_a_worker(&cluster.servers[owner]).await;
    finds_redis_healthy(&deployment.env_for(Role::Worker)).await;

    let (from, owner) = (owner, (owner + 1) % 3);
    nothing_is_lost_when("a move of the queue's slot", &mut deployment, async || {
        cluster.move_slot(KEY, from, owner).await;
    })
    .await;

    // The old master lives on, and refers to the new one.
    let replica = cluster.replica(owner);
    nothing_is_lost_when(
        "a planned failover of a Redis Cluster",
        &mut deployment,
        async || {
            let mut redis = replica.connection().await;
            let mut command = redis::cmd("CLUSTER");
            let () = command
                .arg("FAILOVER")
                .query_async(&mut redis)
                .await
                .unwrap();
            is_promoted(replica).await;
        },
    )
    .await;

    let (first, new) = cluster.pair(owner);
    nothing_is_lost_when(
        "the death of a master of a Redis Cluster",
        &mut deployment,
        async || {
            new.kill().await;
            is_promoted(first).await;
        },
    )
    .await;
    let worker = &mut deployment.in_production_mut().workers[0];
    worker.logged("the queue loop died").await;
    wakes_a_worker(first).await;
    all_follow_the_new_master(&mut deployment).await;
}
