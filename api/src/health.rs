//! `/healthz`: the process serves. `/readyz`: it has what it needs.

use std::time::Duration;

use poem::http::StatusCode;
use poem::web::{Data, Json};
use poem::{IntoResponse, Response, handler};
use serde_json::json;
use shared::store::StoreError;

use crate::App;

/// How long a check may take; probes are asked often and should not pile up.
const DEADLINE: Duration = Duration::from_secs(2);

/// 200 for as long as the process serves.
#[handler]
pub fn live() -> Response {
    Json(json!({"status": "ok"})).into_response()
}

/// 200 `ready`; 200 `degraded` without the queue, which costs latency alone, or
/// without the identity provider's keys, for the portal needs none; 503
/// `unavailable` without the database. `missing` names what is missing.
#[handler]
pub async fn ready(Data(app): Data<&App>) -> Response {
    let (database, queue) = tokio::join!(
        tokio::time::timeout(DEADLINE, app.store.ping()),
        tokio::time::timeout(DEADLINE, app.queue.depth()),
    );
    let mut missing = Vec::new();
    match &database {
        Ok(Ok(())) => {}
        Ok(Err(StoreError::Internal(_))) => missing.push("schema"),
        Ok(Err(_)) | Err(_) => missing.push("database"),
    }
    if !matches!(queue, Ok(Ok(_))) {
        missing.push("queue");
    }
    if !app.sessions.can_be_told() {
        missing.push("identity_provider");
    }
    let (code, status) = match database {
        Ok(Ok(())) if missing.is_empty() => (StatusCode::OK, "ready"),
        Ok(Ok(())) => (StatusCode::OK, "degraded"),
        Ok(Err(_)) | Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let body = Json(json!({"status": status, "missing": missing}));
    body.with_status(code).into_response()
}
