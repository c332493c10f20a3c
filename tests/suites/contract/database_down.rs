//! A database that does not answer: 503, and nothing half-done.

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tests::{Answer, Client, Deployment, Kind, TestDatabase, eventually};

use crate::{SOON, ready_key, retry_after};

async fn all_four(client: &Client, session: &str, key: &str) -> [Answer; 4] {
    let (created, shown) = tokio::join!(client.create(session), client.show(session));
    let (revoked, opened) = tokio::join!(client.revoke(session), client.portal(key));
    [created, shown, revoked, opened]
}

async fn allow_connections(database: &TestDatabase, allowed: bool) {
    let server = std::env::var("TEST_DATABASE_URL").unwrap();
    let mut admin = PgConnection::connect(&server).await.unwrap();
    let name = database.url().rsplit('/').next().unwrap().to_owned();
    let alter = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {allowed}");
    sqlx::query(AssertSqlSafe(alter))
        .execute(&mut admin)
        .await
        .unwrap();
    if !allowed {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
        sqlx::query(end)
            .bind(name)
            .execute(&mut admin)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_database_that_is_down_is_503_and_nothing_is_half_done() {
    let deployment = Deployment::start(Kind::Production).await;
    let (client, database) = (&deployment.client, &deployment.in_production().database);
    let (session, key) = ready_key(&deployment).await;
    let newcomer = deployment.session_of("newcomer").await;

    allow_connections(database, false).await;
    for session in [&session, &newcomer] {
        for answer in all_four(client, session, &key).await {
            answer.is_error(503, "unavailable");
            assert!(
                retry_after(&answer).is_some_and(|seconds| seconds >= 1),
                "{answer:?}"
            );
        }
    }

    allow_connections(database, true).await;
    let shown = || client.show(&session);
    let shown = eventually("it recovers", SOON, shown, |answer| answer.status == 200).await;
    assert_eq!(shown.text("prefix"), key[..24], "the key was not revoked");
    assert_eq!(client.portal(&key).await.status, 200);
    assert_eq!(deployment.rows("newcomer").await, []);
    assert_eq!(client.create(&newcomer).await.status, 201);
}

#[tokio::test]
async fn a_locked_database_file_is_503_for_what_writes_alone() {
    let deployment = Deployment::start(Kind::Embedded).await;
    let client = &deployment.client;
    let (session, key) = ready_key(&deployment).await;
    let newcomer = deployment.session_of("newcomer").await;

    let file = deployment.sqlite().await;
    let lock = file.begin_with("BEGIN IMMEDIATE").await.unwrap();
    for answer in [
        client.create(&newcomer).await,
        client.revoke(&session).await,
    ] {
        answer.is_error(503, "unavailable");
        assert!(
            retry_after(&answer).is_some_and(|seconds| seconds >= 1),
            "{answer:?}"
        );
    }
    assert_eq!(client.show(&session).await.text("prefix"), key[..24]);
    assert_eq!(client.portal(&key).await.status, 200);

    lock.rollback().await.unwrap();
    assert_eq!(deployment.rows("newcomer").await, []);
    assert_eq!(client.create(&newcomer).await.status, 201);
    assert_eq!(client.revoke(&session).await.status, 200);
}
