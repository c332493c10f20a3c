//! The commands of the `api` binary.

use std::time::Duration;

use shared::store::Store;
use sqlx::Row;
use sqlx::postgres::PgPool;
use tests::{Deployment, Plan, TestDatabase};

use super::{Ended, run};

async fn issue(database: &TestDatabase, args: &[&str]) -> Ended {
    let command = [&["session", "issue"], args].concat();
    run("api", &command, &[("DATABASE_URL", &database.url())]).await
}

async fn sessions(pool: &PgPool) -> i64 {
    let count = sqlx::query_scalar("SELECT count(*) FROM sessions");
    count.fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn a_session_is_issued_its_hash_is_stored_and_it_authenticates() {
    let database = TestDatabase::migrated().await;
    let pool = database.pool().await;
    let args = ["--account", "auth0|6123 é", "--ttl", "90m"];
    let issued = issue(&database, &args).await;
    assert_eq!(issued.code, 0, "{issued:?}");
    let token = issued.stdout.strip_suffix('\n').unwrap();
    let hex = token.strip_prefix("session_").unwrap();
    assert_eq!(hex.len(), 64, "the token alone: {issued:?}");
    assert!(hex.bytes().all(|b| b.is_ascii_hexdigit()), "{issued:?}");
    assert!(!issued.stderr.contains(token), "{issued:?}");

    let row = sqlx::query(
        "SELECT account_id, EXTRACT(epoch FROM expires_at - now())::float8 AS lasts, revoked_at
         FROM sessions WHERE token_hash = sha256($1)",
    );
    let row = row.bind(token.as_bytes()).fetch_one(&pool).await.unwrap();
    assert_eq!(row.get::<String, _>("account_id"), "auth0|6123 é");
    let lasts = Duration::from_secs_f64(row.get("lasts"));
    let expected = Duration::from_mins(80)..=Duration::from_mins(90);
    assert!(expected.contains(&lasts), "{lasts:?}");

    let deployment = Deployment::planned(Plan {
        database: Some(database),
        ..Plan::default()
    });
    let deployment = deployment.await;
    assert_eq!(deployment.client.create(token).await.status, 201);
    assert_eq!(deployment.client.show(token).await.body["has_key"], true);
}

/// A row that nobody would read.
#[tokio::test]
async fn no_session_is_issued_where_an_identity_provider_issues_them() {
    let database = TestDatabase::migrated().await;
    let env = [
        ("DATABASE_URL", database.url()),
        ("SESSION_MODE", "jwt".to_owned()),
        ("SESSION_JWKS_URL", "https://id.example.com/jwks".to_owned()),
        ("SESSION_ISSUER", "https://id.example.com/".to_owned()),
        ("SESSION_AUDIENCE", "partner-keys".to_owned()),
    ];
    let env: Vec<_> = env
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let refused = run("api", &["session", "issue", "--account", "jo"], &env).await;
    assert_ne!(refused.code, 0, "{refused:?}");
    let reason = "SESSION_MODE is jwt, so the identity provider issues the sessions";
    assert!(refused.stderr.contains(reason), "{refused:?}");
    assert_eq!(sessions(&database.pool().await).await, 0);
}

#[tokio::test]
async fn a_session_with_a_bad_account_or_time_is_refused_with_a_reason() {
    let database = TestDatabase::migrated().await;
    let long = "a".repeat(256);
    let range = "expected 1 s to 10 years as a number and a unit";
    let ok = ["--account", "a"];
    let cases = [
        (vec![], "--account <ID>"),
        (vec!["--account", ""], "'--account <ID>'"),
        (vec!["--account", &long], "'--account <ID>'"),
        ([&ok[..], &["--ttl", "0s"]].concat(), range),
        ([&ok[..], &["--ttl", "3651d"]].concat(), range),
        (
            [&ok[..], &["--ttl", "99999999999999999999d"]].concat(),
            range,
        ),
        (
            [&ok[..], &["--ttl", "18446744073709551615d"]].concat(),
            range,
        ),
        ([&ok[..], &["--ttl", "11y"]].concat(), range),
        ([&ok[..], &["--ttl", "1 fortnight"]].concat(), range),
        ([&ok[..], &["--ttl", "h"]].concat(), range),
        ([&ok[..], &["--ttl", "60"]].concat(), range),
        ([&ok[..], &["--ttl=-1h"]].concat(), range),
        ([&ok[..], &["--ttl", "1é"]].concat(), range),
        ([&ok[..], &["--ttl", ""]].concat(), "--ttl <TTL>"),
    ];
    for (args, reason) in cases {
        let refused = issue(&database, &args).await;
        assert_eq!(
            (refused.code, &*refused.stdout),
            (2, ""),
            "{args:?}: {refused:?}"
        );
        assert!(refused.stderr.contains(reason), "{args:?}: {refused:?}");
    }
    assert_eq!(sessions(&database.pool().await).await, 0);
}

#[tokio::test]
async fn without_a_database_or_its_schema_the_commands_fail_with_a_reason() {
    let gone = [("DATABASE_URL", "postgres://user:hunter2@127.0.0.1:1/db")];
    for command in [&["migrate"][..], &["session", "issue", "--account", "a"]] {
        let ended = run("api", command, &gone).await;
        assert_eq!((ended.code, &*ended.stdout), (1, ""), "{ended:?}");
        assert!(ended.stderr.starts_with("api: "), "{ended:?}");
    }
    let empty = TestDatabase::create().await;
    let ended = issue(&empty, &["--account", "a"]).await;
    assert_eq!((ended.code, &*ended.stdout), (1, ""), "{ended:?}");
    assert!(ended.stderr.contains("sessions"), "{ended:?}");
}

#[tokio::test]
async fn migrations_run_at_once_and_again_and_all_succeed() {
    let database = TestDatabase::create().await;
    assert!(database.store().ping().await.is_err(), "no schema yet");
    let url = database.url();
    let env = [("DATABASE_URL", &*url)];
    let migrate = || run("api", &["migrate"], &env);
    let together = tokio::join!(migrate(), migrate(), migrate(), migrate());
    let again = migrate().await;
    let (a, b, c, d) = together;
    for ended in [a, b, c, d, again] {
        assert_eq!((ended.code, &*ended.stdout), (0, ""), "{ended:?}");
        assert!(
            ended.stderr.contains("the schema is up to date"),
            "{ended:?}"
        );
    }
    database.store().ping().await.unwrap();
}

#[tokio::test]
async fn the_document_is_printed_without_any_setting() {
    let printed = run("api", &["openapi"], &[]).await;
    assert_eq!((printed.code, &*printed.stderr), (0, ""), "{printed:?}");
    let document: serde_json::Value = serde_saphyr::from_str(&printed.stdout).unwrap();
    assert!(document["paths"].is_object());
    // Nor do wrong ones matter.
    let wrong = [
        ("RUST_LOG", "=="),
        ("DATABASE_URL", "hunter2"),
        ("PORT", "x"),
    ];
    assert_eq!(
        run("api", &["openapi"], &wrong).await.stdout,
        printed.stdout
    );
}

#[tokio::test]
async fn a_migration_refuses_a_pooler_in_transaction_mode() {
    let env = [
        ("DATABASE_URL", "postgres://user:hunter2@127.0.0.1:1/db"),
        ("DATABASE_POOLER", "transaction"),
    ];
    let expected = "  DATABASE_POOLER is \"transaction\"; expected none, and a DATABASE_URL that";
    run("api", &["migrate"], &env)
        .await
        .refused("api", &[expected]);
}
