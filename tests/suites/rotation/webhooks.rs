//! What a rotation does with the account's application at Svix.

use futures_util::future::join_all;
use rstest::rstest;
use svix_simulator::{Fault, Pattern};
use tests::Kind::{self, Embedded, Production};
use tests::{Deployment, eventually};

use super::{SOON, new_key, ready_key};

/// Replaces a key that has no webhooks yet. Returns the session, the replaced key and the new one.
async fn rotated_before_webhooks(deployment: &Deployment) -> (String, String, String) {
    let client = &deployment.client;
    let fault = Fault::Status(500);
    deployment
        .svix
        .fault(Pattern::create(), fault)
        .until_cleared();
    let session = deployment.session().await;
    let old = client.create(&session).await.text("api_key");
    let attempts = || async { client.show(&session).await.body };
    eventually("an attempt failed", SOON, attempts, |key| {
        key["webhook"]["attempts"].as_i64() > Some(0)
    })
    .await;
    let new = new_key(&client.start_rotation(&session, Some(600)).await);
    (session, old, new)
}

#[rstest]
#[tokio::test]
async fn a_rotation_during_provisioning_loses_nothing(#[values(Production, Embedded)] kind: Kind) {
    let deployment = Deployment::start(kind).await;
    let (client, svix) = (&deployment.client, &deployment.svix);
    let (session, old, new) = rotated_before_webhooks(&deployment).await;
    for key in [&old, &new] {
        let early = client.portal(key).await;
        early.is_error(404, "not_found");
        assert!(early.header("retry-after").is_some(), "{early:?}");
    }

    svix.clear_faults();
    deployment.provisioned(&session, SOON).await;
    for key in [&old, &new] {
        assert_eq!(client.portal(key).await.status, 200);
    }
    assert_eq!(svix.applications().len(), 1);

    // The portal session of each key ends with it, and only then.
    let sessions = svix.portal_sessions();
    assert_eq!(sessions.len(), 2);
    let ids: Vec<_> = sessions
        .into_iter()
        .map(|it| it.session_id.unwrap())
        .collect();
    assert_eq!(client.finish_rotation(&session).await.status, 200);
    let ended = || async { svix.expired_sessions() };
    eventually("the sessions of the previous key end", SOON, ended, |it| {
        it.contains(&ids[0])
    })
    .await;
    assert!(!svix.expired_sessions().contains(&ids[1]));
    assert_eq!(client.portal(&new).await.status, 200);
}

/// One of the requests takes over the application from the new key, and the others meet that.
#[rstest]
#[tokio::test]
async fn the_first_links_of_a_replaced_key_can_be_asked_for_at_once(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = Deployment::start(kind).await;
    let client = &deployment.client;
    let (session, old, _) = rotated_before_webhooks(&deployment).await;
    deployment.svix.clear_faults();
    deployment.provisioned(&session, SOON).await;
    let opened = join_all((0..8).map(|_| client.portal(&old))).await;
    for opened in opened {
        assert_eq!(opened.status, 200, "{opened:?}");
    }
}

#[rstest]
#[tokio::test]
async fn the_application_survives_rotations_and_a_cancellation_ends_the_new_sessions(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = Deployment::start(kind).await;
    let (client, svix) = (&deployment.client, &deployment.svix);
    let (session, old) = ready_key(&deployment).await;
    let creations = svix.calls(svix_simulator::Route::Create);
    let new = new_key(&client.start_rotation(&session, Some(600)).await);
    for key in [&new, &old] {
        assert_eq!(client.portal(key).await.status, 200);
    }
    let of_new = svix.portal_sessions()[0].session_id.clone().unwrap();
    let of_old = svix.portal_sessions()[1].session_id.clone().unwrap();
    assert_eq!(client.cancel_rotation(&session).await.status, 200);
    let ended = || async { svix.expired_sessions() };
    eventually("the sessions of the new key end", SOON, ended, |it| {
        it.contains(&of_new)
    })
    .await;
    assert!(!svix.expired_sessions().contains(&of_old));
    let shown = client.show(&session).await;
    assert_eq!(shown.body["has_webhook"], true);
    assert_eq!(client.portal(&old).await.status, 200);
    assert_eq!(svix.calls(svix_simulator::Route::Create), creations);
    assert_eq!(svix.applications().len(), 1);
}
