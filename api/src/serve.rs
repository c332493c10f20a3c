use std::time::Duration;

use poem::Route;
use shared::server::Bound;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::App;

/// The time that background work has to finish after the last request.
const BACKGROUND: Duration = Duration::from_millis(500);

/// Serves the app until `shutdown`, then finishes the accepted requests.
pub async fn serve(bound: Bound, app: App, shutdown: CancellationToken) -> std::io::Result<()> {
    serve_with(bound, app, |routes| routes, shutdown).await
}

/// Serves the app and the routes that `add` adds until `shutdown`, then finishes the
/// accepted requests.
pub async fn serve_with(
    bound: Bound,
    app: App,
    add: impl FnOnce(Route) -> Route,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let background = app.background.clone();
    let max_connections = app.http.max_connections;
    bound
        .serve(app.endpoint(add), max_connections, shutdown)
        .await?;
    background.close();
    let _ = timeout(BACKGROUND, background.wait()).await;
    Ok(())
}
