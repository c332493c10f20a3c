//! Key checks for the platform's other services: introspection, and forward auth behind
//! real proxies.

mod forward_auth;
mod gateways;
mod introspection;
mod uses;

use std::time::Duration;

use tests::process::free_port;
use tests::{Client, Deployment, Plan};

const SOON: Duration = Duration::from_secs(10);

/// The tokens of the internal listener, as while one is replaced by the other.
const TOKENS: [&str; 2] = [
    "internal_token_of_the_suites_one",
    "internal_token_of_the_suites_two",
];

/// A deployment with an internal listener, and a client of that listener.
async fn deployment() -> (Deployment, Client) {
    let address = format!("127.0.0.1:{}", free_port());
    let env = vec![
        ("INTERNAL_ADDR", address.clone()),
        ("INTERNAL_TOKEN", TOKENS.join(",")),
    ];
    let deployment = Deployment::planned(Plan {
        env,
        ..Plan::default()
    })
    .await;
    let internal = Client::new(&format!("http://{address}")).await;
    (deployment, internal)
}

/// Creates a key of the account.
async fn key(deployment: &Deployment, account: &str) -> (String, String) {
    let session = deployment.session_of(account).await;
    let created = deployment.client.create(&session).await;
    assert_eq!(created.status, 201);
    (session, created.text("api_key"))
}
