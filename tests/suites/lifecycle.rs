//! The life of a key in both deployments.

use std::time::Duration;

use rstest::rstest;
use svix_simulator::Route;
use tests::Kind::{self, Embedded, Production};
use tests::{Deployment, eventually};

const SOON: Duration = Duration::from_secs(10);

/// Creates a key, waits for its webhook, opens the portal, revokes the key and creates
/// another. The account keeps its Svix application.
#[rstest]
#[tokio::test]
async fn an_account_keeps_its_application_when_it_replaces_its_key(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = Deployment::start(kind).await;
    let client = &deployment.client;
    let session = deployment.session().await;

    assert_eq!(client.show(&session).await.text, r#"{"has_key":false}"#);

    let created = client.create(&session).await;
    assert_eq!(created.status, 201);
    let key = created.text("api_key");
    assert_eq!(created.text("prefix"), key[..24]);
    assert_eq!(
        created.text("message"),
        "Save this key — it will not be shown again."
    );

    let shown = deployment.provisioned(&session, SOON).await;
    assert_eq!(shown["has_key"], true);
    assert_eq!(shown["prefix"], key[..24]);
    assert_eq!(shown["webhook"]["state"], "ready");

    let portal = client.portal(&key).await;
    assert_eq!(portal.status, 200);
    assert!(portal.text("url").starts_with(&deployment.svix.url()));
    let issued = deployment.svix.portal_sessions();
    assert_eq!(issued.len(), 1);
    assert_eq!(issued[0].expiry, 3600);
    let key_id = issued[0]
        .session_id
        .clone()
        .expect("the portal session has the id of the key");
    let used = || async { client.show(&session).await.body };
    eventually("last_used_at", SOON, used, |key| {
        key["last_used_at"].is_string()
    })
    .await;

    let revoked = client.revoke(&session).await;
    assert_eq!(
        (revoked.status.as_u16(), &*revoked.text),
        (200, r#"{"success":true}"#)
    );
    client.portal(&key).await.is_error(401, "unauthorized");
    assert_eq!(client.show(&session).await.body["has_key"], false);
    let ended = || async { deployment.svix.expired_sessions() };
    eventually(
        "the portal sessions of the key are expired",
        SOON,
        ended,
        |ids| ids.contains(&key_id),
    )
    .await;
    assert_eq!(
        client.revoke(&session).await.text,
        r#"{"success":true}"#,
        "a second revocation succeeds too"
    );

    let again = client.create(&session).await;
    assert_eq!(again.status, 201);
    assert_ne!(again.text("api_key"), key);
    deployment.provisioned(&session, SOON).await;
    client.portal(&key).await.is_error(401, "unauthorized");
    assert_eq!(client.portal(&again.text("api_key")).await.status, 200);
    assert_eq!(deployment.svix.applications().len(), 1);
    assert!(deployment.svix.calls(Route::Create) >= 2);
}
