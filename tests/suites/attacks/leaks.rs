//! A leaked key: what its finder has added at Svix is found, and stopped.

use serde_json::Value;
use tests::Deployment;

use super::SOON;
use super::operators::api;

#[tokio::test]
async fn endpoints_that_were_added_while_a_leaked_key_lived_are_listed_and_disabled() {
    let deployment = Deployment::production(1).await;
    let (client, session) = (&deployment.client, deployment.session_of("jo").await);
    client.create(&session).await;
    let first = deployment.provisioned(&session, SOON).await;
    assert_eq!(first["has_webhook"], true);
    let application = deployment.svix.applications()[0].id.clone();
    let ours = deployment
        .svix
        .add_endpoint(&application, "https://jo.example.com/hook");
    assert_eq!(client.revoke(&session).await.status, 200);

    let key = client.create(&session).await.text("api_key");
    deployment.provisioned(&session, SOON).await;
    let thief = deployment
        .svix
        .add_endpoint(&application, "https://thief.example/hook");

    let leaked = [
        "key",
        "revoke",
        "--prefix",
        &key[..24],
        "--leaked",
        "--json",
    ];
    let (code, output) = api(&deployment, &leaked, "").await;
    assert_eq!(code, 0, "{output}");
    let done: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(done[0]["revoked_now"], true);
    let endpoints = done[0]["endpoints"].as_array().unwrap();
    assert_eq!(endpoints.len(), 1, "{output}");
    assert_eq!(endpoints[0]["id"], *thief);
    assert_eq!(endpoints[0]["disabled"], false);

    // The key is revoked already, and the command finds it again.
    let disable = [&leaked[..5], &["--disable-endpoints"]].concat();
    let (code, output) = api(&deployment, &disable, "").await;
    assert_eq!(code, 0, "{output}");
    assert!(output.contains("was already revoked"), "{output}");
    let state: Vec<_> = deployment.svix.endpoints(&application);
    let disabled = |id: &str| state.iter().find(|it| it.id == id).unwrap().disabled;
    assert!(disabled(&thief) && !disabled(&ours), "{state:?}");

    let (_, output) = api(&deployment, &["key", "events", "--account", "jo"], "").await;
    assert!(output.contains("reason \"leaked\""), "{output}");
}
