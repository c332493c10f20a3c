//! `/healthz` of a worker, served at `HEALTH_ADDR`.

use poem::http::StatusCode;
use poem::web::{Data, Json};
use poem::{EndpointExt, IntoResponse, Response, Route, get, handler};
use serde_json::json;
use shared::server::Bound;
use tokio_util::sync::CancellationToken;

use crate::liveness::Liveness;

/// The number of open connections. Few probes come at the same time.
const MAX_CONNECTIONS: usize = 64;

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

/// Serves `/healthz` until `shutdown` is cancelled.
pub async fn serve(
    bound: Bound,
    liveness: Liveness,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let routes = Route::new().at("/healthz", get(live)).data(liveness);
    bound.serve(routes, MAX_CONNECTIONS, shutdown).await
}
