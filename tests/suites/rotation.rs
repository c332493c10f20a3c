//! Rotation: a new key replaces another, and both work until the end of the overlap.

mod contract;
mod ends;
mod history;
mod linearizable;
mod load;
mod turns;
mod webhooks;

use std::time::Duration;

use shared::clock::{Clock, Timestamp};
use tests::{Answer, Deployment};

const SOON: Duration = Duration::from_secs(10);

/// A new account's session and its key, with its webhooks.
async fn ready_key(deployment: &Deployment) -> (String, String) {
    let session = deployment.session().await;
    let created = deployment.client.create(&session).await;
    assert_eq!(created.status, 201, "{created:?}");
    deployment.provisioned(&session, SOON).await;
    (session, created.text("api_key"))
}

/// Returns the new key of a rotation that was started.
#[track_caller]
fn new_key(started: &Answer) -> String {
    assert_eq!(started.status, 201, "{started:?}");
    started.text("api_key")
}

/// Parses a time of an answer.
fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    Clock::system().now()
}
