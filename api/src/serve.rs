use std::net::SocketAddr;
use std::time::Duration;

use shared::config::InternalConfig;
use shared::server::{self, BindError, Bound, Listener};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::internal::{self, InternalTokens};
use crate::{App, Routes};

/// The time that the last uses of keys have to be written after the last request.
const LAST_USES: Duration = Duration::from_millis(500);

/// The listeners of an api.
pub struct Servers {
    /// The public listener.
    pub public: Bound,
    /// The listener for the platform's other services, with their tokens.
    pub internal: Option<(Bound, InternalConfig)>,
}

impl Servers {
    /// Listens on all addresses, within a runtime. Connections wait until [`serve`] accepts them.
    pub fn bind(public: SocketAddr, internal: Option<InternalConfig>) -> Result<Self, BindError> {
        let public = server::bind(Listener::Public, public)?;
        let internal = match internal {
            Some(config) => {
                let bound = server::bind(Listener::Internal, config.listen)?;
                let address = bound.address;
                tracing::info!(%address, "checking keys for other services");
                Some((bound, config))
            }
            None => None,
        };
        Ok(Self { public, internal })
    }
}

/// Serves the app, with the routes that `add` adds to the public listener, until
/// `shutdown`, then finishes the accepted requests.
pub async fn serve(
    servers: Servers,
    app: App,
    add: impl FnOnce(Routes) -> Routes,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let max_connections = app.http.max_connections;
    let served = CancellationToken::new();
    let uses = app.uses.clone();
    let writing = tokio::spawn({
        let served = served.clone();
        async move { uses.write_until(served).await }
    });
    let internal = async {
        match servers.internal {
            Some((bound, config)) => {
                let tokens = InternalTokens(config.tokens.into());
                let endpoint = internal::endpoint(app.clone(), tokens);
                bound
                    .serve(endpoint, max_connections, shutdown.clone())
                    .await
            }
            None => Ok(()),
        }
    };
    let public = servers
        .public
        .serve(app.clone().endpoint(add), max_connections, shutdown.clone());
    let (public_done, internal_done) = tokio::join!(public, internal);
    served.cancel();
    let _ = timeout(LAST_USES, writing).await;
    public_done.and(internal_done)
}
