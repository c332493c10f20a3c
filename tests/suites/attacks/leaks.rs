//! A leaked key: what its finder has added at Svix is found, and stopped.

use std::process::Output;

use serde_json::Value;
use svix_simulator::{Fault, Route};
use tests::{Deployment, eventually};

use super::SOON;
use super::operators::{api, command};

/// Revokes all keys as leaked.
const REVOKE_ALL: [&str; 6] = [
    "key",
    "revoke",
    "--created-before",
    "2100-01-01T00:00:00Z",
    "--yes",
    "--leaked",
];

/// Creates a key for each of two accounts. Both accounts have an application at Svix.
async fn two_keys(deployment: &Deployment) -> [String; 2] {
    let mut keys = ["jo", "flo"].map(str::to_owned);
    for key in &mut keys {
        let session = deployment.session_of(key).await;
        *key = deployment.client.create(&session).await.text("api_key");
        deployment.provisioned(&session, SOON).await;
    }
    keys
}

/// Returns what the command wrote to standard output and to standard error. The command
/// must have failed.
fn failed(ended: Output) -> (String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(ended.stdout), text(ended.stderr));
    assert_eq!(ended.status.code(), Some(1), "{stdout}{stderr}");
    (stdout, stderr)
}

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

#[tokio::test]
async fn keys_about_which_svix_fails_are_revoked_and_named() {
    let deployment = Deployment::production(1).await;
    let keys = two_keys(&deployment).await;
    let broken = Fault::Status(500);
    deployment
        .svix
        .fault(Route::Endpoints.into(), broken)
        .until_cleared();

    let ended = command(&deployment, &REVOKE_ALL).output().await.unwrap();
    let (stdout, stderr) = failed(ended);
    for (key, account) in keys.iter().zip(["jo", "flo"]) {
        let name = format!("{} of account {account:?}", &key[..24]);
        let listed = format!("revoked {name}\n  its endpoints could not be listed");
        assert!(stdout.contains(&listed), "{stdout}");
        assert!(stderr.contains(&format!("{name} is revoked")), "{stderr}");
        let refused = deployment.client.portal(key).await;
        refused.is_error(401, "unauthorized");
    }

    let as_json = [&REVOKE_ALL[..], &["--json"]].concat();
    let ended = command(&deployment, &as_json).output().await.unwrap();
    let (stdout, stderr) = failed(ended);
    let done: Vec<Value> = serde_json::from_str(&stdout).unwrap();
    assert_eq!(done.len(), 2, "{stdout}");
    for (done, key) in done.iter().zip(&keys) {
        assert_eq!(done["key_prefix"], key[..24]);
        assert_eq!(done["is_active"], false);
        assert!(done.get("endpoints").is_none(), "{stdout}");
        assert!(done["endpoints_error"].is_string(), "{stdout}");
        assert!(stderr.contains(&key[..24]), "{stderr}");
    }
}

#[tokio::test]
async fn all_keys_are_revoked_before_svix_is_asked_about_any() {
    let deployment = Deployment::production(1).await;
    let keys = two_keys(&deployment).await;
    deployment
        .svix
        .fault(Route::Endpoints.into(), Fault::Hang)
        .until_cleared();

    let mut running = command(&deployment, &REVOKE_ALL).spawn().unwrap();
    let calls = || async { deployment.svix.calls(Route::Endpoints) };
    eventually("Svix is asked", SOON, calls, |calls| *calls > 0).await;
    for key in &keys {
        let refused = deployment.client.portal(key).await;
        refused.is_error(401, "unauthorized");
    }
    // Svix has not answered yet, so the command still waits for it.
    assert_eq!(running.try_wait().unwrap(), None);
}

#[tokio::test]
async fn a_key_that_the_database_does_not_revoke_is_named_and_the_others_are_revoked() {
    let deployment = Deployment::production(1).await;
    let [stuck, other] = two_keys(&deployment).await;
    let keep = "
        ALTER TABLE api_partners
        ADD CONSTRAINT jo_stays CHECK (account_id <> 'jo' OR is_active)";
    deployment.in_production().database.change(keep).await;

    let ended = command(&deployment, &REVOKE_ALL).output().await.unwrap();
    let (stdout, stderr) = failed(ended);
    let name = format!("{} of account \"jo\"", &stuck[..24]);
    let error = format!("{name} could not be revoked");
    assert!(stderr.contains(&error), "{stderr}");
    assert!(!stdout.contains(&stuck[..24]), "{stdout}");
    assert!(
        stdout.contains(&format!("revoked {}", &other[..24])),
        "{stdout}"
    );
    assert_eq!(deployment.client.portal(&stuck).await.status, 200);
    let refused = deployment.client.portal(&other).await;
    refused.is_error(401, "unauthorized");
}
