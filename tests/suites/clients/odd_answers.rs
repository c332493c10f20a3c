//! What the document does not say: answers of a later version, of a proxy, of
//! nobody.

use serde_json::{Value, json};
use tests::{As, Deployment, GeneratedClient, Kind, Passing, Relay};

use super::{SOON, assert_same_key};

/// A client that is generated today goes on working when the service adds to its
/// answers, and leaves out what it need not say.
pub async fn an_odd_answer_is_read_or_told(name: &'static str) {
    let deployment = Deployment::start(Kind::Embedded).await;
    let relay = Relay::start(deployment.client.base()).await;
    let mut client = GeneratedClient::start(name, relay.url());
    let token = deployment.session().await;
    let session = As::Bearer(&token);

    relay.passes(Passing::AddingMembers);
    assert_eq!(client.show(session).await, json!({"no_key": {}}));
    let key = client.mint(session).await;
    deployment.provisioned(&token, SOON).await;
    let said = deployment.client.show(&token).await.body;
    assert_same_key(&client.show(session).await, &said);
    let opened = client.portal(As::Bearer(&key)).await;
    assert!(opened["portal"]["url"].is_string(), "{opened}");
    let twice = client.create(session).await;
    assert_eq!(twice["error"]["code"], "conflict", "{twice}");

    let optional: &[&str] = &["last_used_at", "webhook"];
    relay.passes(Passing::Without(optional));
    let shown = client.show(session).await;
    let key = &shown["active_key"];
    assert_eq!(key["prefix"], said["prefix"], "{shown}");
    assert!(
        optional.iter().all(|member| key[member].is_null()),
        "{shown}"
    );

    // A key that cannot be read is not taken for none.
    relay.passes(Passing::Without(&["prefix"]));
    is_unexpected(&client.show(session).await);

    relay.passes(Passing::AddingMembers);
    assert_eq!(client.revoke(session).await, json!({"revoked": {}}));

    // What the program says of an answer that it does not know must not hold the key.
    relay.passes(Passing::As(202));
    let told = client.create(session).await;
    let key = relay.said().body["api_key"].as_str().unwrap().to_owned();
    let reason = told["unexpected"]["reason"].as_str();
    let is_told = reason.is_some_and(|reason| !reason.contains(&key[24..]));
    assert!(is_told || told["created"]["api_key"] == *key, "{told}");

    for status in [429, 502] {
        relay.passes(Passing::Page(status));
        let told = [client.show(session).await, client.create(session).await];
        for told in told {
            assert_eq!(told["unexpected"]["status"], status, "{told}");
        }
        is_unexpected(&client.portal(session).await); // knows a 502, but no such page
    }
    relay.passes(Passing::Without(&["has_key", "success", "error"]));
    is_unexpected(&client.show(session).await);
    is_unexpected(&client.show(As::Bearer("of-nobody")).await);

    drop(relay);
    is_unexpected(&client.show(session).await);
    is_unexpected(&client.create(session).await);
    client.finish().await;
}

#[track_caller]
fn is_unexpected(told: &Value) {
    let reason = told["unexpected"]["reason"].as_str();
    assert!(reason.is_some_and(|reason| !reason.is_empty()), "{told}");
}
