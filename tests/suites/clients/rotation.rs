//! Replaces a key, cancels that, replaces it again and finishes.

use serde_json::json;
use tests::{Credential, Deployment, GeneratedClient, Kind};

use super::{TIMEOUT, assert_same_key, milliseconds};

pub async fn a_key_is_replaced_without_an_interruption(name: &'static str) {
    let deployment = Deployment::start(Kind::Embedded).await;
    let mut client = GeneratedClient::start(name, deployment.client.base());
    let token = deployment.session().await;
    let session = Credential::Bearer(&token);
    let refused = client.call("rotate", session).await;
    assert_eq!(refused["error"]["code"], "not_found", "{refused}");
    let old = client.mint(session).await;
    let text = |started: &serde_json::Value, member: &str| {
        let text = started["rotated"][member].as_str();
        text.unwrap_or_else(|| panic!("no {member} in {started}"))
            .to_owned()
    };
    // A known key is refused by the portal only until its webhooks are ready.
    let works = async |key: &str| deployment.client.portal(key).await.status != 401;

    let started = client.call("rotate", session).await;
    let new = text(&started, "api_key");
    assert_eq!(text(&started, "prefix"), new[..24]);
    let message = "Save this key — it will not be shown again.";
    assert_eq!(text(&started, "message"), message);
    let previous = &started["rotated"]["previous"];
    assert_eq!(previous["prefix"], old[..24]);
    assert!(works(&old).await && works(&new).await);
    // Until then, the state could change between the two requests.
    deployment.provisioned(&token, TIMEOUT).await;
    let shown = client.show(session).await;
    assert_same_key(&shown, &deployment.client.show(&token).await.body);
    let end = &shown["active_key"]["rotation"]["previous_expires_at"];
    assert_eq!(milliseconds(end), milliseconds(&previous["expires_at"]));
    let again = client.call("rotate", session).await;
    assert_eq!(again["error"]["code"], "conflict", "{again}");

    let canceled = client.call("cancel", session).await;
    assert_eq!(canceled, json!({"canceled": {}}));
    assert!(works(&old).await && !works(&new).await);
    let new = text(&client.call("rotate", session).await, "api_key");
    let finished = client.call("finish", session).await;
    assert_eq!(finished, json!({"finished": {}}));
    assert!(!works(&old).await && works(&new).await);
    let late = client.call("cancel", session).await;
    assert_eq!(late["error"]["code"], "conflict", "{late}");
    client.finish().await;
}
