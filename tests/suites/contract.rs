//! The contract of creating, showing and revoking a key and of the portal: every status, its
//! exact body and headers. The client holds each answer against the document besides.

mod bodies;
mod database_down;
mod framework;
mod idempotency;
mod key;
mod portal;

use std::collections::HashSet;
use std::time::Duration;

use serde_json::Value;
use tests::{Answer, Deployment};

const SOON: Duration = Duration::from_secs(10);

fn members(body: &Value) -> HashSet<&str> {
    let members = body.as_object().unwrap().keys();
    members.map(String::as_str).collect()
}

fn retry_after(answer: &Answer) -> Option<u64> {
    let seconds = answer.header("retry-after")?;
    Some(seconds.parse().unwrap())
}

/// A new account's session and its key, the webhooks set up.
async fn ready_key(deployment: &Deployment) -> (String, String) {
    let session = deployment.session().await;
    let created = deployment.client.create(&session).await;
    assert_eq!(created.status, 201, "{created:?}");
    deployment.provisioned(&session, SOON).await;
    (session, created.text("api_key"))
}
