use std::net::SocketAddr;
use std::time::Duration;

use poem::{Route, Server};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::acceptor::UntilShutdown;
use crate::App;

/// The time that requests in flight have to finish once the server is told to
/// stop. Only a portal request for which both Svix and the database need all of
/// their time limits takes longer. Orchestrators kill the process after 10 s.
const DRAIN: Duration = Duration::from_millis(8500);

/// The time that the connections accepted last have to send their request before
/// idle connections are closed.
const LAST_REQUESTS: Duration = Duration::from_millis(500);

/// The time after which an idle connection is closed. It is longer than the
/// usual 60 s of load balancers, so that they close connections before us: a
/// request sent while we close would fail.
const IDLE: Duration = Duration::from_secs(75);

/// The time that background work has to finish after the last request.
const BACKGROUND: Duration = Duration::from_millis(500);

/// A listening socket. Connections wait until [`Bound::serve`] accepts them.
pub struct Bound {
    listener: TcpListener,
    /// The address, with the port that the system chose if none was asked for.
    pub address: SocketAddr,
}

/// Listens on the address.
pub async fn bind(address: SocketAddr) -> std::io::Result<Bound> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok(Bound { listener, address })
}

impl Bound {
    /// Serves the app until `shutdown`, then finishes the accepted requests.
    pub async fn serve(self, app: App, shutdown: CancellationToken) -> std::io::Result<()> {
        self.serve_with(app, |routes| routes, shutdown).await
    }

    /// Serves the app and the routes that `add` adds until `shutdown`, then
    /// finishes the accepted requests.
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
        let _ = tokio::time::timeout(BACKGROUND, background.wait()).await;
        Ok(())
    }
}
