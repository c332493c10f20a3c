//! `/healthz` of a worker, on its admin listener.

use poem::http::StatusCode;
use poem::web::{Data, Json};
use poem::{Endpoint, EndpointExt, IntoResponse, Response, handler};
use serde_json::json;

use crate::liveness::Liveness;

/// Answers 200 while the worker works, or 503 with the parts that show no sign of
/// life.
#[handler]
fn live(Data(liveness): Data<&Liveness>) -> Response {
    let missing = liveness.missing();
    let (code, status) = if missing.is_empty() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
    };
    let body = Json(json!({"status": status, "missing": missing}));
    body.with_status(code).into_response()
}

/// Returns the endpoint.
pub fn endpoint(liveness: Liveness) -> impl Endpoint {
    live.data(liveness)
}
