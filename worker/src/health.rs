//! `/healthz` of a worker, where `HEALTH_ADDR` asks for it.

use std::net::SocketAddr;

use poem::http::StatusCode;
use poem::listener::{Listener, TcpAcceptor, TcpListener};
use poem::web::{Data, Json};
use poem::{EndpointExt, IntoResponse, Response, Route, Server, get, handler};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::liveness::Liveness;

/// 200 while work is being done; 503, naming what is missing, when it is not.
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

/// Binds the address that `/healthz` is served on.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpAcceptor> {
    TcpListener::bind(address).into_acceptor().await
}

/// Serves until `shutdown`.
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
