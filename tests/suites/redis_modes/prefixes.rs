//! `REDIS_PREFIX`: several deployments share a Redis, and do not see each other.

use std::collections::BTreeSet;

use redis::AsyncCommands;
use serde_json::Value;
use shared::clock::Clock;
use shared::config::RedisConfig;
use shared::queue::{Queue, RedisQueue};
use sqlx::postgres::PgPool;
use svix_simulator::Pattern;
use tests::process::binary;
use tests::{Client, Deployment, Plan, Process, Role, eventually};
use tokio::process::Command;

use super::SOON;

/// A prefix that is not the default one.
const OTHER: &str = "staging:keys";

/// Creates `count` keys.
async fn create(client: &Client, deployment: &Deployment, count: usize) {
    for session in deployment.sessions(count).await {
        assert_eq!(client.create(&session).await.status, 201);
    }
}

/// Returns the queue of the deployment with this prefix.
fn queue(redis_url: &str, prefix: &str) -> RedisQueue {
    let redis = RedisConfig::parse(redis_url).unwrap().with_prefix(prefix);
    RedisQueue::new(redis, Clock::system())
}

/// Returns what `worker status --json` prints, with these variables.
async fn status(env: &[(&'static str, String)]) -> Value {
    let mut command = Command::new(binary("worker"));
    command.args(["status", "--json"]).env_clear();
    let output = command.envs(env.iter().cloned()).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn two_deployments_share_a_redis_and_never_see_each_others_jobs() {
    let mut one = Deployment::production(1).await;
    // Without the privileges of the sample, which are those of the default prefix.
    let url = one.in_production().redis.url();
    let env = vec![
        ("REDIS_URL", url.clone()),
        ("REDIS_PREFIX", OTHER.to_owned()),
    ];
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
        let status = status(&deployment.env()).await;
        let workers = status["redis"]["workers"].as_array().unwrap();
        assert_eq!(workers.len(), 1, "{status}");
    }

    // Without workers, each queue keeps the jobs of its own deployment.
    for deployment in [&mut one, &mut other] {
        deployment.in_production_mut().workers[0].kill().await;
    }
    create(&one.client, &one, 3).await;
    create(&other.client, &other, 2).await;
    for (prefix, expected) in [("partner-keys", 3), (OTHER, 2)] {
        let depth = || async { queue(&url, prefix).depth().await.unwrap() };
        eventually("the jobs are sent", SOON, depth, |depth| *depth == expected).await;
    }
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
