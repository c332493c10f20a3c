//! A part of the service that was taken over. Each has its own user in the database and
//! in Redis, with the privileges of deploy/, which the other suites use too.

use sqlx::postgres::PgPool;
use tests::process::binary;
use tests::{Deployment, Role, TestDatabase};
use tokio::process::Command;

async fn pool(database: &TestDatabase, role: Role) -> PgPool {
    PgPool::connect(&database.url_for(role)).await.unwrap()
}

async fn allowed(pool: &PgPool, statement: &'static str) {
    let done = sqlx::raw_sql(statement).execute(pool).await;
    done.unwrap_or_else(|error| panic!("{statement}: {error}"));
}

async fn refused(pool: &PgPool, statement: &'static str) {
    let error = sqlx::raw_sql(statement).execute(pool).await;
    let Err(error) = error else {
        panic!("allowed: {statement}");
    };
    let error = error.to_string();
    assert!(error.contains("permission denied"), "{statement}: {error}");
}

#[tokio::test]
async fn the_worker_reads_neither_hashes_nor_sessions() {
    let database = TestDatabase::migrated().await;
    let worker = pool(&database, Role::Worker).await;
    for statement in [
        "SELECT key_hash FROM api_partners",
        "SELECT * FROM api_partners",
        "UPDATE api_partners SET key_hash = ''",
        "UPDATE api_partners SET is_active = TRUE",
        "INSERT INTO api_partners (id) VALUES (gen_random_uuid())",
        "DELETE FROM api_partners",
        "SELECT account_id FROM sessions",
        "SELECT kind FROM api_key_events",
    ] {
        refused(&worker, statement).await;
    }
    allowed(&worker, "SELECT count(*) FROM api_partners").await;
}

#[tokio::test]
async fn nobody_changes_or_deletes_an_event() {
    let database = TestDatabase::migrated().await;
    for role in [Role::Api, Role::Worker, Role::Login] {
        let pool = pool(&database, role).await;
        for statement in [
            "UPDATE api_key_events SET actor = 'account'",
            "DELETE FROM api_key_events",
            "TRUNCATE api_key_events",
            "DROP TABLE api_key_events",
        ] {
            let error = sqlx::raw_sql(statement).execute(&pool).await.unwrap_err();
            let error = error.to_string();
            let is_refused = error.contains("denied") || error.contains("must be owner");
            assert!(is_refused, "{role:?}: {statement}: {error}");
        }
    }
}

/// As the release after this one does: the user of `api migrate` owns the tables.
#[tokio::test]
async fn the_user_of_migrations_migrates_again_and_renews_the_privileges() {
    let database = TestDatabase::migrated().await;
    let url = database.url_for(Role::Migrate);
    let mut migrate = Command::new(binary("api"));
    migrate.arg("migrate").env_clear().env("DATABASE_URL", &url);
    let ended = migrate.output().await.unwrap();
    assert!(ended.status.success(), "{ended:?}");
    let migrate = pool(&database, Role::Migrate).await;
    allowed(&migrate, "ALTER TABLE api_partners ADD COLUMN more text").await;
    allowed(&migrate, include_str!("../../../deploy/postgres/roles.sql")).await;
    allowed(&migrate, "SELECT * FROM api_key_events").await;
}

/// An UPDATE with WHERE needs SELECT, which the grants did not have.
#[tokio::test]
async fn a_login_signs_in_and_out_and_sees_no_key() {
    let deployment = Deployment::production(0).await;
    let database = &deployment.in_production().database;
    let login = pool(database, Role::Login).await;
    allowed(
        &login,
        "INSERT INTO sessions (token_hash, account_id, created_at, expires_at)
         VALUES (sha256('a token'), 'jo', now(), now() + interval '1 hour')",
    )
    .await;
    assert_eq!(deployment.client.show("a-token").await.status, 401);
    allowed(
        &login,
        "UPDATE sessions SET revoked_at = now() WHERE token_hash = sha256('a token')",
    )
    .await;
    for statement in [
        "SELECT id FROM api_partners",
        "DELETE FROM sessions",
        "UPDATE sessions SET account_id = 'other'",
        "UPDATE sessions SET expires_at = 'infinity'",
    ] {
        refused(&login, statement).await;
    }
}

#[tokio::test]
async fn the_api_deletes_nothing_and_creates_no_session() {
    let database = TestDatabase::migrated().await;
    let api = pool(&database, Role::Api).await;
    for statement in [
        "DELETE FROM api_partners",
        "INSERT INTO sessions (token_hash, account_id, expires_at)
         VALUES (sha256('a'), 'jo', now())",
        "UPDATE sessions SET account_id = 'jo'",
        "SELECT client_address FROM api_key_events",
        "SELECT session_id FROM api_key_events",
        "CREATE TABLE more ()",
    ] {
        refused(&api, statement).await;
    }
}

#[tokio::test]
async fn the_user_in_redis_reaches_only_the_queue() {
    let deployment = Deployment::production(0).await;
    let url = deployment.in_production().redis.service_url();
    let client = redis::Client::open(url).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    for command in [
        &["GET", "another"][..],
        &["SET", "another", "x"],
        &["KEYS", "*"],
        &["FLUSHALL"],
        &["CONFIG", "GET", "*"],
        &["SHUTDOWN"],
        &["ACL", "LIST"],
        &["EVAL", "return redis.call('get', 'another')", "0"],
    ] {
        let mut run = redis::cmd(command[0]);
        let ran = run
            .arg(&command[1..])
            .query_async::<redis::Value>(&mut redis)
            .await;
        let error = ran.unwrap_err().to_string().to_lowercase();
        let is_refused = error.contains("perm") || error.contains("can't access");
        assert!(is_refused, "{command:?}: {error}");
    }
}
