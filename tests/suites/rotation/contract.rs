//! The contract of the three operations: their answers, and what they change.

use reqwest::{Method, RequestBuilder};
use rstest::rstest;
use serde_json::json;
use tests::Deployment;
use tests::Kind::{self, Embedded, Production};
use tests::client::{FINISH_PATH, ROTATION_PATH};

use super::{new_key, now, ready_key, time};

const DONE: &str = r#"{"success":true}"#;

#[rstest]
#[tokio::test]
async fn a_key_is_replaced_and_both_work_until_the_rotation_is_finished(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = Deployment::start(kind).await;
    let client = &deployment.client;
    let (session, old) = ready_key(&deployment).await;

    let started = client.start_rotation(&session, None).await;
    let new = new_key(&started);
    let members = started.body.as_object().unwrap().keys();
    let members: Vec<&String> = members.collect();
    assert_eq!(members, ["api_key", "prefix", "message", "previous"]);
    assert_eq!(started.text("prefix"), new[..24]);
    let message = "Save this key — it will not be shown again.";
    assert_eq!(started.text("message"), message);
    let previous = &started.body["previous"];
    assert_eq!(previous["prefix"], old[..24]);
    let end = previous["expires_at"].as_str().unwrap();
    let overlap = time(end).since(now()).as_secs();
    assert!((86_000..=86_400).contains(&overlap), "{end}");

    let shown = client.show(&session).await;
    let key = &shown.body;
    assert_eq!(key["prefix"], new[..24]);
    assert_eq!(key["has_webhook"], true, "nothing is set up again");
    assert_eq!(key["rotation"]["previous_prefix"], old[..24]);
    assert_eq!(key["rotation"]["previous_expires_at"], end);
    for key in [&old, &new] {
        assert!(!shown.text.contains(&key[24..]), "a key is shown again");
        assert_eq!(client.portal(key).await.status, 200);
    }
    let shown = client.show(&session).await;
    let last_use = &shown.body["rotation"]["previous_last_used_at"];
    assert!(last_use.is_string(), "{shown:?}");

    for again in [None, Some(0), Some(604_800)] {
        let refused = client.start_rotation(&session, again).await;
        refused.is_error(409, "conflict");
    }
    assert_eq!(client.show(&session).await.body, shown.body);
    client.create(&session).await.is_error(409, "conflict");

    for _ in 0..2 {
        assert_eq!(client.finish_rotation(&session).await.text, DONE);
        client.portal(&old).await.is_error(401, "unauthorized");
        assert_eq!(client.portal(&new).await.status, 200);
    }
    let shown = client.show(&session).await;
    assert_eq!(shown.body["rotation"], json!(null));
    let late = client.cancel_rotation(&session).await;
    late.is_error(409, "conflict");
    assert_eq!(client.portal(&new).await.status, 200);
    assert_eq!(deployment.svix.applications().len(), 1);
}

#[rstest]
#[tokio::test]
async fn a_rotation_is_canceled_and_revoking_ends_both_keys(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = Deployment::start(kind).await;
    let client = &deployment.client;
    let (session, old) = ready_key(&deployment).await;
    let before = client.show(&session).await.body;
    let new = new_key(&client.start_rotation(&session, Some(60)).await);
    for _ in 0..2 {
        assert_eq!(client.cancel_rotation(&session).await.text, DONE);
        client.portal(&new).await.is_error(401, "unauthorized");
        let shown = client.show(&session).await.body;
        for member in ["prefix", "has_webhook", "created_at", "rotation"] {
            assert_eq!(shown[member], before[member], "{member}");
        }
    }
    assert_eq!(client.portal(&old).await.status, 200);

    let new = new_key(&client.start_rotation(&session, Some(604_800)).await);
    assert_eq!(client.revoke(&session).await.text, DONE);
    for key in [&old, &new] {
        client.portal(key).await.is_error(401, "unauthorized");
    }
    assert_eq!(client.show(&session).await.body["has_key"], false);

    // Without a key there is nothing to replace, and nothing to finish or cancel.
    let refused = client.start_rotation(&session, None).await;
    refused.is_error(404, "not_found");
    assert_eq!(client.finish_rotation(&session).await.text, DONE);
    assert_eq!(client.cancel_rotation(&session).await.text, DONE);
    assert_eq!(client.show(&session).await.body["has_key"], false);

    // Without an overlap the previous key ends at once, and cannot come back.
    let old = client.create(&session).await.text("api_key");
    let new = new_key(&client.start_rotation(&session, Some(0)).await);
    client.portal(&old).await.is_error(401, "unauthorized");
    assert_ne!(client.portal(&new).await.status, 401);
    client
        .cancel_rotation(&session)
        .await
        .is_error(409, "conflict");
    new_key(&client.start_rotation(&session, Some(60)).await);
}

#[rstest]
#[tokio::test]
async fn an_invalid_body_changes_nothing_and_any_other_is_accepted(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = Deployment::start(kind).await;
    let client = &deployment.client;
    let session = deployment.session().await;
    client.create(&session).await;
    let before = client.show(&session).await.text("prefix");
    let send = |body: &'static str, content_type: Option<&'static str>| {
        let session = &session;
        client.send(Method::POST, ROTATION_PATH, move |request| {
            let request = request.bearer_auth(session).body(body);
            match content_type {
                Some(content_type) => request.header("content-type", content_type),
                None => request,
            }
        })
    };
    for body in [
        "{",
        "[]",
        "7",
        "\"x\"",
        "null",
        r#"{"overlap_seconds":-1}"#,
        r#"{"overlap_seconds":604801}"#,
        r#"{"overlap_seconds":99999999999999999999}"#,
        r#"{"overlap_seconds":"60"}"#,
        r#"{"overlap_seconds":1.5}"#,
        r#"{"overlap_seconds":true}"#,
        r#"{"overlap_seconds":[]}"#,
        "\u{0}",
    ] {
        let refused = send(body, Some("application/json")).await;
        refused.is_error(400, "bad_request");
    }
    assert_eq!(client.show(&session).await.text("prefix"), before);

    let json = Some("application/json");
    for (body, content_type, seconds) in [
        ("", None, 86_400),
        ("", json, 86_400),
        ("{}", json, 86_400),
        ("{}", None, 86_400),
        (r#"{"overlap_seconds":60,"more":[]}"#, json, 60),
        (r#"{"overlap_seconds":604800}"#, json, 604_800),
    ] {
        let started = send(body, content_type).await;
        assert_eq!(started.status, 201, "{body}: {started:?}");
        let end = time(started.body["previous"]["expires_at"].as_str().unwrap());
        let overlap = end.since(now()).as_secs();
        assert!((seconds - 30..=seconds).contains(&overlap), "{body}");
        assert_eq!(client.cancel_rotation(&session).await.status, 200);
    }
}

/// A start whose answer was lost is repeated, and says which key it has created.
#[tokio::test]
async fn a_repeated_start_says_which_key_it_has_created() {
    let deployment = Deployment::start(Embedded).await;
    let client = &deployment.client;
    let session = deployment.session().await;
    client.create(&session).await;
    let start = async || {
        let send = |request: RequestBuilder| {
            let request = request.bearer_auth(&session);
            request.header("idempotency-key", "the-very-request")
        };
        client.send(Method::POST, ROTATION_PATH, send).await
    };
    let started = start().await;
    let new = new_key(&started);
    for _ in 0..2 {
        let again = start().await;
        assert_eq!(again.status, 409, "{again:?}");
        let created = &again.body["error"]["created"];
        assert_eq!(created["prefix"], new[..24], "{again:?}");
        assert!(!again.text.contains(&new));
        client.finish_rotation(&session).await;
    }
    assert_ne!(client.portal(&new).await.status, 401);
}

/// The rule is the same as for the other operations: see the suite `credentials`.
#[tokio::test]
async fn another_site_cannot_use_the_session_cookie() {
    let deployment = Deployment::start(Embedded).await;
    let client = &deployment.client;
    let session = deployment.session().await;
    let old = client.create(&session).await.text("prefix");
    let cookie = format!("session={session}");
    let send = |method, path, site: &'static str| {
        let cookie = cookie.clone();
        client.send(method, path, move |request: RequestBuilder| {
            let request = request.header("cookie", cookie);
            request.header("sec-fetch-site", site)
        })
    };
    let operations = [
        (Method::POST, ROTATION_PATH, 201),
        (Method::POST, FINISH_PATH, 200),
        (Method::DELETE, ROTATION_PATH, 409),
    ];
    for (method, path, _) in operations.clone() {
        let refused = send(method, path, "cross-site").await;
        refused.is_error(403, "forbidden");
    }
    assert_eq!(client.show(&session).await.text("prefix"), old);
    for (method, path, status) in operations {
        assert_eq!(send(method, path, "same-origin").await.status, status);
    }
}
