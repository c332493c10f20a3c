//! From no key to no key again.

use serde_json::json;
use tests::{As, Deployment, GeneratedClient, Kind, eventually};

use super::{SOON, assert_same_key};

pub async fn the_whole_life_of_a_key(name: &'static str) {
    let deployment = Deployment::start(Kind::Production).await;
    let mut client = GeneratedClient::start(name, deployment.client.base());
    let token = deployment.session().await;
    let session = As::Bearer(&token);
    assert_eq!(client.show(session).await, json!({"no_key": {}}));

    let created = client.create(session).await;
    let text = |member: &str| created["created"][member].as_str().map(str::to_owned);
    let (key, prefix, message) = (text("api_key"), text("prefix"), text("message"));
    let key = key.unwrap_or_else(|| panic!("{created}"));
    assert_eq!(key.len(), 72);
    assert_eq!(prefix.as_deref(), Some(&key[..24]));
    let literal = "Save this key — it will not be shown again.";
    assert_eq!(message.as_deref(), Some(literal));

    deployment.provisioned(&token, SOON).await;
    let shown = client.show(session).await;
    assert_same_key(&shown, &deployment.client.show(&token).await.body);
    assert_eq!(shown["active_key"]["webhook"]["state"], "ready");
    assert_eq!(shown["active_key"]["has_webhook"], true);

    let opened = client.portal(As::Bearer(&key)).await;
    let url = opened["portal"]["url"].as_str();
    let url = url.unwrap_or_else(|| panic!("{opened}"));
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let opened = http.get(url).send().await;
    let opened = opened.map_err(reqwest::Error::without_url).unwrap();
    assert_eq!(opened.status(), 200);
    let used = || async { deployment.client.show(&token).await.body };
    let used = eventually("the use is noted", SOON, used, |key| {
        key["last_used_at"].is_string()
    })
    .await;
    assert_same_key(&client.show(session).await, &used);

    for _ in 0..2 {
        assert_eq!(client.revoke(session).await, json!({"revoked": {}}));
        assert_eq!(client.show(session).await, json!({"no_key": {}}));
    }
    let refused = client.portal(As::Bearer(&key)).await;
    assert_eq!(refused["error"]["code"], "unauthorized");
    let anew = client.create(session).await;
    assert_ne!(anew["created"]["api_key"], key.as_str());
    client.finish().await;
}
