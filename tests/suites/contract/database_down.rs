//! A database that does not answer: 503, and nothing half-done.

use tests::{Answer, Client, Deployment, Kind, eventually};

use super::{SOON, ready_key, retry_after};

async fn all_four(client: &Client, session: &str, key: &str) -> [Answer; 4] {
    let (created, shown) = tokio::join!(client.create(session), client.show(session));
    let (revoked, opened) = tokio::join!(client.revoke(session), client.portal(key));
    [created, shown, revoked, opened]
}

#[tokio::test]
async fn a_database_that_is_down_is_503_and_nothing_is_half_done() {
    let deployment = Deployment::start(Kind::Production).await;
    let (client, database) = (&deployment.client, &deployment.in_production().database);
    let (session, key) = ready_key(&deployment).await;
    let newcomer = deployment.session_of("newcomer").await;

    database.allow_connections(false).await;
    for session in [&session, &newcomer] {
        for answer in all_four(client, session, &key).await {
            answer.is_error(503, "unavailable");
            assert!(
                retry_after(&answer).is_some_and(|seconds| seconds >= 1),
                "{answer:?}"
            );
        }
    }

    database.allow_connections(true).await;
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
    // The portal writes too: no link is handed out without an entry in the audit trail.
    for answer in [
        client.create(&newcomer).await,
        client.revoke(&session).await,
        client.portal(&key).await,
    ] {
        answer.is_error(503, "unavailable");
        assert!(
            retry_after(&answer).is_some_and(|seconds| seconds >= 1),
            "{answer:?}"
        );
    }
    assert_eq!(client.show(&session).await.text("prefix"), key[..24]);

    lock.rollback().await.unwrap();
    assert_eq!(deployment.rows("newcomer").await, []);
    assert_eq!(client.portal(&key).await.status, 200);
    assert_eq!(client.create(&newcomer).await.status, 201);
    assert_eq!(client.revoke(&session).await.status, 200);
}
