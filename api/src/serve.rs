//! Listening and serving, until told to stop.

use std::net::SocketAddr;
use std::time::Duration;

use poem::{Route, Server};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::App;
use crate::acceptor::UntilShutdown;

/// How long requests in flight may take once the server is told to stop: more
/// than any takes but a portal whose Svix and database are both at their limits,
/// and less than the 10 s that an orchestrator gives.
const DRAIN: Duration = Duration::from_millis(8500);

/// How long connections that were accepted last have to send their request before
/// idle ones are closed.
const LAST_REQUESTS: Duration = Duration::from_millis(500);

/// How long a connection may be silent: longer than a load balancer keeps one
/// (60 s, usually), so that it is never ours that closes under a request.
const IDLE: Duration = Duration::from_secs(75);

/// A socket that listens; nobody is answered yet.
pub struct Bound {
    listener: TcpListener,
    /// The address, with the port that the system chose if none was asked for.
    pub address: SocketAddr,
}

/// Binds the address that the app is configured for.
pub async fn bind(address: SocketAddr) -> std::io::Result<Bound> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok(Bound { listener, address })
}

impl Bound {
    /// Serves until `shutdown`, then finishes what was accepted.
    pub async fn serve(self, app: App, shutdown: CancellationToken) -> std::io::Result<()> {
        self.serve_with(app, |routes| routes, shutdown).await
    }

    /// The same, with what `add` adds to the routes.
    pub async fn serve_with(
        self,
        app: App,
        add: impl FnOnce(Route) -> Route,
        shutdown: CancellationToken,
    ) -> std::io::Result<()> {
        let background = app.background.clone();
        let acceptor = UntilShutdown::new(self.listener, self.address, shutdown.clone());
        let no_more_requests = async move {
            shutdown.cancelled().await;
            tokio::time::sleep(LAST_REQUESTS).await;
        };
        Server::new_with_acceptor(acceptor)
            .idle_timeout(IDLE)
            .run_with_graceful_shutdown(app.endpoint(add), no_more_requests, Some(DRAIN))
            .await?;
        background.close();
        let _ = tokio::time::timeout(Duration::from_millis(500), background.wait()).await;
        Ok(())
    }
}
