//! Creates, shows, uses, revokes and reports a key.

use serde_json::json;
use tests::{Credential, Deployment, GeneratedClient, Kind, eventually};

use super::{TIMEOUT, assert_same_end, assert_same_key, milliseconds};

pub async fn a_key_is_created_used_and_revoked(name: &'static str) {
    // Clients cannot tell the deployments apart, and this one starts faster. The errors are
    // those of production.
    let deployment = Deployment::start(Kind::Embedded).await;
    let mut client = GeneratedClient::start(name, deployment.client.base());
    let token = deployment.session().await;
    let session = Credential::Bearer(&token);
    let none = json!({"no_key": {"revoked": null}});
    assert_eq!(client.show(session).await, none);

    let created = client.create_once(session, "first").await;
    let text = |member: &str| created["created"][member].as_str().map(str::to_owned);
    let (key, prefix, message) = (text("api_key"), text("prefix"), text("message"));
    let key = key.unwrap_or_else(|| panic!("{created}"));
    assert_eq!(key.len(), 72);
    assert_eq!(prefix.as_deref(), Some(&key[..24]));
    let expected_message = "Save this key — it will not be shown again.";
    assert_eq!(message.as_deref(), Some(expected_message));

    // Repeats the request, as if its response was lost.
    let repeated = client.create_once(session, "first").await;
    let earlier = &repeated["error"]["created"];
    assert_eq!(earlier["prefix"], key[..24], "{repeated}");
    assert_eq!(earlier["revoked_at"], json!(null), "{repeated}");

    deployment.provisioned(&token, TIMEOUT).await;
    let shown = client.show(session).await;
    assert_same_key(&shown, &deployment.client.show(&token).await.body);
    assert_eq!(shown["active_key"]["webhook"]["state"], "ready");
    assert_eq!(shown["active_key"]["has_webhook"], true);
    let times = [&earlier["created_at"], &shown["active_key"]["created_at"]];
    assert_eq!(milliseconds(times[0]), milliseconds(times[1]), "{repeated}");

    let opened = client.portal(Credential::Bearer(&key)).await;
    let url = opened["portal"]["url"].as_str();
    let url = url.unwrap_or_else(|| panic!("{opened}"));
    let http = tests::http::client();
    let opened = http.get(url).send().await;
    let opened = opened.map_err(reqwest::Error::without_url).unwrap();
    assert_eq!(opened.status(), 200);
    let used = || async { deployment.client.show(&token).await.body };
    let used = eventually("last_used_at is set", TIMEOUT, used, |key| {
        key["last_used_at"].is_string()
    })
    .await;
    assert_same_key(&client.show(session).await, &used);

    for _ in 0..2 {
        assert_eq!(client.revoke(session).await, json!({"revoked": {}}));
        let shown = client.show(session).await;
        assert_same_end(&shown, &deployment.client.show(&token).await.body);
        assert_eq!(shown["no_key"]["revoked"]["reason"], "by_you");
    }
    let refused = client.portal(Credential::Bearer(&key)).await;
    assert_eq!(refused["error"]["code"], "unauthorized");
    let repeated = client.create_once(session, "first").await;
    let earlier = &repeated["error"]["created"];
    assert!(milliseconds(&earlier["revoked_at"]).is_some(), "{repeated}");
    let second = client.create_once(session, "second").await;
    let second = second["created"]["api_key"].as_str().unwrap();
    assert_ne!(second, key);

    for reported in [&key, second, second] {
        assert_eq!(client.report(reported).await, json!({"reported": {}}));
    }
    let refused = client.portal(Credential::Bearer(second)).await;
    assert_eq!(refused["error"]["code"], "unauthorized");
    let shown = client.show(session).await;
    assert_same_end(&shown, &deployment.client.show(&token).await.body);
    assert_eq!(shown["no_key"]["revoked"]["reason"], "leaked");
    client.finish().await;
}
