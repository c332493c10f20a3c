//! Checks how clients handle responses that the document does not describe: of a
//! later version, of a proxy, or no response.

use serde_json::{Value, json};
use tests::{Credential, Deployment, GeneratedClient, Kind, Passing, Relay};

use super::checks::{self, Reaction};
use super::{TIMEOUT, assert_same_end, assert_same_key};

/// Checks that a client accepts additional members and missing optional members, and
/// reports every other unexpected response.
pub async fn an_unexpected_response_is_parsed_or_reported(name: &'static str) {
    let deployment = Deployment::start(Kind::Embedded).await;
    let relay = Relay::start(deployment.client.base()).await;
    let mut client = GeneratedClient::start(name, relay.url());
    let token = deployment.session().await;
    let session = Credential::Bearer(&token);

    relay.passes(Passing::AddingMembers);
    let none = json!({"no_key": {"revoked": null}});
    assert_eq!(client.show(session).await, none);
    let key = client.mint(session).await;
    deployment.provisioned(&token, TIMEOUT).await;
    let expected = deployment.client.show(&token).await.body;
    assert_same_key(&client.show(session).await, &expected);
    let opened = client.portal(Credential::Bearer(&key)).await;
    assert!(opened["portal"]["url"].is_string(), "{opened}");
    let second = client.create(session).await;
    assert_eq!(second["error"]["code"], "conflict", "{second}");

    let optional: &[&str] = &["last_used_at", "webhook"];
    relay.passes(Passing::Without(optional));
    let shown = client.show(session).await;
    let key = &shown["active_key"];
    assert_eq!(key["prefix"], expected["prefix"], "{shown}");
    assert!(
        optional.iter().all(|member| key[member].is_null()),
        "{shown}"
    );

    let paused = json!({"state": "paused", "attempts": 1});
    let checks = checks::of(name);
    for (member, value, reaction) in [
        ("has_webhook", json!("yes"), checks.other_type),
        ("webhook", paused, checks.new_value),
    ] {
        relay.passes(Passing::Replacing(member, value));
        let shown = client.show(session).await;
        match reaction {
            Reaction::Rejects => assert_unexpected(&shown),
            Reaction::Accepts => assert!(shown["active_key"].is_object(), "{member}: {shown}"),
        }
    }

    // A key that cannot be parsed must not be taken for no key.
    relay.passes(Passing::Without(&["prefix"]));
    assert_unexpected(&client.show(session).await);

    relay.passes(Passing::AddingMembers);
    assert_eq!(client.revoke(session).await, json!({"revoked": {}}));
    let ended = deployment.client.show(&token).await.body;
    assert_same_end(&client.show(session).await, &ended);
    relay.passes(Passing::Replacing("reason", json!("expired")));
    let shown = client.show(session).await;
    match checks.new_value {
        Reaction::Rejects => assert_unexpected(&shown),
        Reaction::Accepts => assert_eq!(shown["no_key"]["revoked"]["reason"], "expired"),
    }

    // The error for an unexpected response must not contain the key.
    relay.passes(Passing::As(202));
    let result = client.create(session).await;
    let key = relay.said().body["api_key"].as_str().unwrap().to_owned();
    let reason = result["unexpected"]["reason"].as_str();
    let omits_key = reason.is_some_and(|reason| !reason.contains(&key[24..]));
    assert!(
        omits_key || result["created"]["api_key"] == *key,
        "{result}"
    );

    // The document has a 429 for each operation, but not with a proxy's page.
    relay.passes(Passing::Page(429));
    assert_unexpected(&client.show(session).await);
    assert_unexpected(&client.create(session).await);

    for status in [507, 502] {
        relay.passes(Passing::Page(status));
        let results = [client.show(session).await, client.create(session).await];
        for result in results {
            assert_eq!(result["unexpected"]["status"], status, "{result}");
        }
        assert_unexpected(&client.portal(session).await); // the document has a 502, but not with this body
    }
    relay.passes(Passing::Without(&["has_key", "success", "error"]));
    assert_unexpected(&client.show(session).await);
    assert_unexpected(&client.show(Credential::Bearer("unknown-token")).await);

    drop(relay);
    assert_unexpected(&client.show(session).await);
    assert_unexpected(&client.create(session).await);
    client.finish().await;
}

#[track_caller]
fn assert_unexpected(result: &Value) {
    let reason = result["unexpected"]["reason"].as_str();
    assert!(reason.is_some_and(|reason| !reason.is_empty()), "{result}");
}
