//! Introspection, RFC 7662.

use reqwest::Method;
use serde_json::{Value, json};
use tests::client::unknown_key;
use tests::repository::read;
use tests::{Answer, Client};

use super::{TOKENS, deployment, key};

const FORM: &str = "application/x-www-form-urlencoded";
const ONE: &str = "/internal/v1/keys/introspect";
const MANY: &str = "/internal/v1/keys/introspect-many";

async fn introspect(internal: &Client, key: &str) -> Answer {
    let send = |request: reqwest::RequestBuilder| {
        let request = request.bearer_auth(TOKENS[0]);
        request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("token={key}"))
    };
    internal.send(Method::POST, ONE, send).await
}

pub(super) async fn introspect_many(internal: &Client, keys: &[&str]) -> Answer {
    let body = json!({ "tokens": keys });
    let send = |request: reqwest::RequestBuilder| request.bearer_auth(TOKENS[0]).json(&body);
    internal.send(Method::POST, MANY, send).await
}

#[tokio::test]
async fn an_active_key_is_described_and_anything_else_is_only_inactive() {
    let (deployment, internal) = deployment().await;
    let (session, key) = key(&deployment, "auth0|6123 é").await;
    let answer = introspect(&internal, &key).await;
    assert_eq!(answer.status, 200);
    let now = shared::clock::Clock::system().now().as_micros() / 1_000_000;
    let iat = answer.body["iat"].as_i64().unwrap();
    assert!((now - 60..=now).contains(&iat), "{answer:?}");
    let id = answer.text("jti");
    let expected = json!({
        "active": true, "sub": "auth0|6123 é", "client_id": "auth0|6123 é", "jti": id,
        "iat": iat, "token_type": "Bearer", "prefix": key[..24],
    });
    assert_eq!(answer.body, expected);
    uuid::Uuid::parse_str(&id).unwrap();

    let unknown = unknown_key();
    for no_key in [&unknown, &session, "", "pk_live_", "nonsense%00"] {
        let answer = introspect(&internal, no_key).await;
        assert_eq!(
            (answer.status.as_u16(), &*answer.text),
            (200, r#"{"active":false}"#)
        );
    }
    deployment.client.revoke(&session).await;
    assert_eq!(
        introspect(&internal, &key).await.text,
        r#"{"active":false}"#
    );
}

#[tokio::test]
async fn many_keys_are_described_in_their_order() {
    let (deployment, internal) = deployment().await;
    let (_, one) = key(&deployment, "one").await;
    let (_, two) = key(&deployment, "two").await;
    let answer = introspect_many(&internal, &[&two, "nonsense", &one, &two]).await;
    assert_eq!(answer.status, 200);
    let keys = answer.body["keys"].as_array().unwrap();
    let accounts: Vec<&Value> = keys.iter().map(|key| &key["sub"]).collect();
    assert_eq!(
        accounts,
        ["two".into(), Value::Null, "one".into(), "two".into()]
            .iter()
            .collect::<Vec<_>>()
    );
    assert_eq!(keys[1], json!({"active": false}));

    let hundred = vec![&*one; 100];
    let answer = introspect_many(&internal, &hundred).await;
    assert_eq!(answer.body["keys"].as_array().unwrap().len(), 100);
    for wrong in [vec![], vec![&*one; 101]] {
        introspect_many(&internal, &wrong)
            .await
            .is_error(400, "bad_request");
    }
}

#[tokio::test]
async fn only_our_services_may_ask_and_a_401_is_about_them() {
    let (deployment, internal) = deployment().await;
    let (session, key) = key(&deployment, "jo").await;
    for token in TOKENS {
        let send = |request: reqwest::RequestBuilder| {
            request
                .bearer_auth(token)
                .header("content-type", FORM)
                .body(format!("token={key}"))
        };
        let answer = internal.send(Method::POST, ONE, send).await;
        assert_eq!(
            answer.body["active"], true,
            "both tokens count while one is replaced"
        );
    }
    let joined = TOKENS.join(",");
    for wrong in [&*key, &*session, "", &TOKENS[0][1..], &*joined] {
        let send = |request: reqwest::RequestBuilder| {
            request
                .bearer_auth(wrong)
                .header("content-type", FORM)
                .body(format!("token={key}"))
        };
        let answer = internal.send(Method::POST, ONE, send).await;
        answer.is_error(401, "unauthorized");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    let nobody = |request: reqwest::RequestBuilder| {
        request
            .header("content-type", FORM)
            .body(format!("token={key}"))
    };
    internal
        .send(Method::POST, ONE, nobody)
        .await
        .is_error(401, "unauthorized");
}

#[tokio::test]
async fn malformed_requests_are_refused_in_the_one_shape() {
    let (_deployment, internal) = deployment().await;
    let form = FORM;
    for (content_type, body, status, code) in [
        (form, "", 400, "bad_request"),
        (form, "tokens=a", 400, "bad_request"),
        ("application/json", "{}", 415, "unsupported_media_type"),
        ("pk_live_secret/form", "", 415, "unsupported_media_type"),
        (form, &*"a".repeat(20_000), 413, "payload_too_large"),
    ] {
        let send = |request: reqwest::RequestBuilder| {
            let request = request.bearer_auth(TOKENS[0]);
            request
                .header("content-type", content_type)
                .body(body.to_owned())
        };
        let answer = internal.send(Method::POST, ONE, send).await;
        answer.is_error(status, code);
        assert!(
            !answer.text.contains("pk_live_"),
            "it repeats what was sent"
        );
    }
    let key = unknown_key();
    for body in [
        json!(null),
        json!({ "tokens": [] }),
        json!({ "tokens": vec![&key; 101] }),
        json!({ "tokens": [[&key]] }),
        json!([&key]),
    ] {
        let send = |request: reqwest::RequestBuilder| request.bearer_auth(TOKENS[0]).json(&body);
        let answer = internal.send(Method::POST, MANY, send).await;
        answer.is_error(400, "bad_request");
        let message = answer.body["error"]["message"].as_str().unwrap();
        assert!(
            message.starts_with("The request body is invalid."),
            "{message}"
        );
        assert!(!message.contains(&key[8..24]), "it repeats a key");
    }
    let get = internal.send(Method::GET, ONE, |request| request).await;
    get.is_error(405, "method_not_allowed");
    assert_eq!(get.header("allow"), Some("POST"));
}

#[tokio::test]
async fn the_committed_document_is_served_and_printed() {
    let (_deployment, internal) = deployment().await;
    let committed = read("openapi-internal.yaml");
    let served = internal
        .send(Method::GET, "/openapi.yaml", |request| request)
        .await;
    assert!(served.text == committed, "run `make openapi`");
}

/// What is no key costs no query.
#[tokio::test]
async fn without_a_database_only_what_is_no_key_is_answered() {
    let (deployment, internal) = deployment().await;
    let (_, key) = key(&deployment, "jo").await;
    deployment
        .in_production()
        .database
        .allow_connections(false)
        .await;
    assert_eq!(
        introspect(&internal, "nonsense").await.text,
        r#"{"active":false}"#
    );
    let answer = introspect(&internal, &key).await;
    answer.is_error(503, "unavailable");
    assert!(answer.header("retry-after").is_some());
}
