//! The probes: `/healthz` (the process serves requests) and `/readyz` (its
//! dependencies are available).

use std::time::Duration;

use poem::http::StatusCode;
use poem::web::{Data, Json};
use poem::{IntoResponse, Response, handler};
use serde_json::json;
use shared::store::StoreError;

use crate::App;

/// The time limit of a check. Probes come often and must not pile up.
const DEADLINE: Duration = Duration::from_secs(2);

/// Answers 200 as long as the process serves requests.
#[handler]
pub fn live() -> Response {
    Json(json!({"status": "ok"})).into_response()
}

/// Reports which dependencies are missing, in `missing`, and the status:
///
/// - 200 `ready`: none is missing.
/// - 200 `degraded`: the queue is missing, which only costs latency, or the
///   identity provider's keys, which the portal does not need.
/// - 503 `unavailable`: the database is missing.
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
    if !app.sessions.can_verify_tokens() {
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
