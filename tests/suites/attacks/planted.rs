//! Somebody who can write to Redis. It may cost time, and nothing else.

use redis::AsyncCommands;
use shared::clock::Clock;
use shared::config::RedisConfig;
use shared::ids::KeyId;
use shared::queue::{Queue, RedisQueue};
use shared::store::Job;
use svix_simulator::{Pattern, Route};
use tests::{Deployment, eventually};

use super::SOON;

/// The keys of the queue.
const KEYS: [&str; 4] = [
    "partner-keys:{partner-keys}:active",
    "partner-keys:{partner-keys}:scheduled",
    "partner-keys:{partner-keys}:data",
    "partner-keys:{partner-keys}:workers",
];

/// Creates a key and waits until its webhooks are set up.
async fn works(deployment: &Deployment) {
    let session = deployment.session().await;
    assert_eq!(deployment.client.create(&session).await.status, 201);
    deployment.provisioned(&session, SOON).await;
}

#[tokio::test]
async fn a_planted_job_skips_no_backoff() {
    let deployment = Deployment::production(1).await;
    deployment.svix.set_token(Some("another token"));
    let session = deployment.session_of("waiting").await;
    assert_eq!(deployment.client.create(&session).await.status, 201);
    let shown = || async { deployment.client.show(&session).await.body };
    // Svix refuses our token, so the next attempt is in an hour.
    eventually("it waits", SOON, shown, |key| {
        key["webhook"]["attempts"] == 1 && key["webhook"]["next_attempt_at"].is_string()
    })
    .await;
    deployment.svix.set_token(None);

    let pool = deployment.in_production().database.pool().await;
    let id = sqlx::query_scalar("SELECT id FROM api_partners WHERE account_id = 'waiting'");
    let key_id: KeyId = id.fetch_one(&pool).await.unwrap();
    let redis = RedisConfig::parse(&deployment.in_production().redis.url()).unwrap();
    let queue = RedisQueue::new(redis, Clock::system());
    let planted = Job::new(key_id, 1);
    assert_eq!(queue.push(&[planted]).await.unwrap(), 1);
    let empty = || async { queue.depth().await.unwrap() };
    eventually("the job was taken", SOON, empty, |depth| *depth == 0).await;
    works(&deployment).await; // what was taken before is done by now
    let account = shared::ids::AccountId::parse("waiting").unwrap();
    let uid = shared::svix::application_uid("", &account);
    assert_eq!(deployment.svix.calls(Pattern::create().uid(uid)), 1);
    assert_eq!(shown().await["webhook"]["attempts"], 1);
}

#[tokio::test]
async fn keys_of_a_foreign_type_are_replaced() {
    let deployment = Deployment::production(2).await;
    works(&deployment).await;
    let mut redis = deployment.in_production().redis.connection().await;
    for key in KEYS {
        let () = redis.del(key).await.unwrap();
        let () = redis.set(key, "garbage").await.unwrap();
    }
    works(&deployment).await;
    let mut types = redis::pipe();
    for key in KEYS {
        types.cmd("TYPE").arg(key);
    }
    let ours = || async {
        let types: Vec<String> = types.query_async(&mut redis.clone()).await.unwrap();
        types
    };
    eventually("no foreign type is left", SOON, ours, |types| {
        !types.contains(&"string".to_owned())
    })
    .await;
}

#[tokio::test]
async fn workers_that_no_clock_could_have_sent_are_retired() {
    let deployment = Deployment::production(1).await;
    let mut redis = deployment.in_production().redis.connection().await;
    let set = "partner-keys:{partner-keys}:workers";
    for (score, name) in [
        ("inf", &b"far future"[..]),
        ("-inf", b"far past"),
        ("1e300", b"huge"),
        ("1.5", b"a fraction"),
        ("9223372036854775807", b"the last second"),
    ] {
        let mut add = redis::cmd("ZADD");
        let () = add
            .arg(set)
            .arg(score)
            .arg(name)
            .query_async(&mut redis)
            .await
            .unwrap();
    }
    works(&deployment).await;
    let names = || async {
        let names: Vec<String> = redis.clone().zrange(set, 0, -1).await.unwrap();
        names
    };
    eventually("only the worker is left", SOON, names, |names| {
        names.len() == 1
    })
    .await;
    // What a dead worker has fetched may be of a foreign type too.
    let () = redis
        .set("partner-keys:{partner-keys}:inflight:gone", "x")
        .await
        .unwrap();
    let () = redis.zadd(set, "gone", 7).await.unwrap();
    works(&deployment).await;
    let is_there = || async {
        redis
            .clone()
            .zscore::<_, _, Option<f64>>(set, "gone")
            .await
            .unwrap()
    };
    eventually("it is retired", SOON, is_there, Option::is_none).await;
    // Names that are no text cannot be ours, and hinder nobody.
    let () = redis.zadd(set, b"\xff\xfe", 7).await.unwrap();
    works(&deployment).await;
    assert!(deployment.svix.calls(Route::Create) >= 2);
}
