//! Redis Sentinel: a master with a replica, watched by three Sentinels. All speak TLS, with
//! users of their own.

use tests::redis_sentinels::RedisSentinels;
use tests::{Deployment, Plan, PrivateCa, eventually};

use super::{SOON, all_follow_the_new_master, nothing_is_lost_when, redis_status};

#[tokio::test]
async fn a_master_freezes_and_a_sentinel_dies_under_load_and_the_replica_is_promoted() {
    let (ca, dir) = (PrivateCa::new(), tests::scratch());
    let trusted = ca.write(dir.path()).to_str().unwrap().to_owned();
    let mut redis = RedisSentinels::start(&ca).await;
    let env = vec![
        ("REDIS_URL", redis.service_url()),
        ("SSL_CERT_FILE", trusted),
    ];
    let mut deployment = Deployment::planned(Plan {
        workers: 1,
        env,
        ..Plan::default()
    })
    .await;
    let env = deployment.env();
    nothing_is_lost_when(
        "the failover of a frozen Redis master",
        &mut deployment,
        async || {
            redis.kill_a_sentinel().await;
            redis.servers[0].signal("STOP");
            let reached = || async { redis_status(&env).await["reached"] == true };
            eventually("the Sentinels name the new master", SOON, reached, |it| *it).await;
            // For some seconds, until the Sentinels demote it, there are two masters.
            redis.servers[0].signal("CONT");
        },
    )
    .await;
    all_follow_the_new_master(&mut deployment).await;
    crate::doctor::finds_redis_healthy(&env).await;
}
