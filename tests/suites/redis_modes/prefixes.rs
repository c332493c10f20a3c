//! `REDIS_PREFIX`: several deployments share a Redis, and do not see each other.

use std::collections::BTreeSet;

use redis::AsyncCommands;
use sqlx::postgres::PgPool;
use svix_simulator::Pattern;
use tests::{Client, Deployment, Plan, Process, Role};

use super::{SOON, create, depth_becomes, redis_status};

/// A prefix that is not the default one.
const OTHER: &str = "staging:keys";

#[tokio::test]
async fn two_deployments_share_a_redis_and_never_see_each_others_jobs() {
    let mut one = Deployment::production(1).await;
    // Without the privileges of the sample, which are those of the default prefix.
    let url = one.in_production().redis.url();
    let env = vec![("REDIS_URL", url), ("REDIS_PREFIX", OTHER.to_owned())];
    let mut other = Deployment::planned(Plan {
        workers: 1,
        env,
        ..Plan::default()
    })
    .await;
    create(&one.client, &one, 10).await;
    create(&other.client, &other, 5).await;
    one.all_provisioned(SOON).await;
    other.all_provisioned(SOON).await;
    assert_eq!(one.svix.calls(Pattern::create()), 10);
    assert_eq!(other.svix.calls(Pattern::create()), 5);
    for deployment in [&one, &other] {
        let redis = redis_status(&deployment.env()).await;
        let workers = redis["workers"].as_array().unwrap();
        assert_eq!(workers.len(), 1, "{redis}");
    }

    // Without workers, each queue keeps the jobs of its own deployment.
    for deployment in [&mut one, &mut other] {
        deployment.in_production_mut().workers[0].kill().await;
    }
    create(&one.client, &one, 3).await;
    create(&other.client, &other, 2).await;
    depth_becomes(&one, 3).await;
    depth_becomes(&other, 2).await;
    let mut redis = one.in_production().redis.connection().await;
    let keys: BTreeSet<String> = redis.keys("*").await.unwrap();
    let (ours, others): (BTreeSet<_>, BTreeSet<_>) =
        (keys.into_iter()).partition(|key| key.starts_with("partner-keys:{partner-keys}:"));
    let is_others = |key: &String| key.starts_with("staging:keys:{staging:keys}:");
    assert!(others.iter().all(is_others), "{others:?}");
    assert!(!ours.is_empty() && !others.is_empty());
}

/// Waits until the rows of all `count` keys are provisioned, and checks that one attempt was
/// made for each.
async fn each_has_one_attempt(deployment: &Deployment, pool: &PgPool, count: u64) {
    deployment.all_provisioned(SOON).await;
    assert_eq!(deployment.svix.calls(Pattern::create()), count);
    let attempts = sqlx::query_scalar("SELECT DISTINCT attempts::bigint FROM api_partners");
    let attempts: Vec<i64> = attempts.fetch_all(pool).await.unwrap();
    assert_eq!(attempts, [1]);
}

/// Processes with an old and a new prefix on one database, as while a release changes the
/// names in Redis. The row is the truth, so it does not matter who sends a job where.
#[tokio::test]
async fn processes_with_two_prefixes_on_one_database_make_each_attempt_once() {
    let deployment = Deployment::production(1).await;
    let pool = deployment.in_production().database.pool().await;
    let start = |name: &str, role: Role| {
        let mut env = deployment.env_for(role);
        let url = deployment.in_production().redis.url();
        env.extend([("REDIS_URL", url), ("REDIS_PREFIX", OTHER.to_owned())]);
        Process::start(deployment.dir(), name, &[], &env)
    };
    let mut api = start("api", Role::Api);
    let mut worker = start("worker", Role::Worker);
    worker.logged("working").await;
    let other = Client::new(&api.url().await).await;
    tokio::join!(
        create(&deployment.client, &deployment, 100),
        create(&other, &deployment, 100)
    );
    each_has_one_attempt(&deployment, &pool, 200).await;

    // Nobody reads what this api sends any longer, and the sweep of the other worker finds it.
    worker.kill().await;
    create(&other, &deployment, 20).await;
    each_has_one_attempt(&deployment, &pool, 220).await;
}
