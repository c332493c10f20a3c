//! Leaked keys: scanners find them, anybody can report them, and GitHub does. They end at
//! once, everywhere, and their accounts learn of it.

mod github;
mod reports;
mod scanners;

use std::time::Duration;

use serde_json::Value;
use tests::{Deployment, Role};

/// The time limit for what a worker does soon.
const SOON: Duration = Duration::from_secs(20);

/// Creates a key that opens the portal. Returns the session and the key.
async fn ready_key(deployment: &Deployment) -> (String, String) {
    let session = deployment.session().await;
    let key = deployment.client.create(&session).await.text("api_key");
    deployment.provisioned(&session, SOON).await;
    (session, key)
}

/// Returns the reason that the account is shown, and checks the rest of what it is shown.
#[track_caller]
fn revoked_because(shown: &Value) -> &str {
    assert_eq!(shown["has_key"], false, "{shown}");
    assert!(shown["revoked"]["at"].is_string(), "{shown}");
    shown["revoked"]["reason"].as_str().unwrap()
}

/// Returns the revocations of the audit trail as `actor: reason`, the oldest first.
pub async fn revocations(deployment: &Deployment) -> Vec<String> {
    let trail = "SELECT actor || ': ' || coalesce(reason, '') FROM api_key_events
                 WHERE kind = 'revoked' ORDER BY id";
    let database = &deployment.in_production().database;
    let pool = sqlx::PgPool::connect(&database.url_for(Role::Migrate)).await;
    let pool = pool.unwrap();
    sqlx::query_scalar(trail).fetch_all(&pool).await.unwrap()
}
