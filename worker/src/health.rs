//! `/healthz` of a worker, served at `HEALTH_ADDR`.

use std::net::SocketAddr;

use poem::http::StatusCode;
use poem::listener::{Listener, TcpAcceptor, TcpListener};
use poem::web::{Data, Json};
use poem::{EndpointExt, IntoResponse, Response, Route, Server, get, handler};
use serde_json::json;
use tokio_util::sync::CancellationToken;

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

/// Binds the address for `/healthz`.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpAcceptor> {
    TcpListener::bind(address).into_acceptor().await
}

/// Serves `/healthz` until `shutdown` is cancelled.
pub async fn serve(
    bound: TcpAcceptor,
    liveness: Liveness,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let routes = Route::new().at("/healthz", get(live)).data(liveness);
    Server::new_with_acceptor(bound)
        .run_with_graceful_shutdown(routes, shutdown.cancelled(), None)
        .await
}
