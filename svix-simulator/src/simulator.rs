//! Starting, controlling and stopping a simulator.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use poem::listener::Acceptor;
use poem::{EndpointExt, Server};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::api::Api;
use super::applications::{Application, Applications};
use super::calls::Calls;
use super::connection::{ConnectionAcceptor, Resets, tls_acceptor};
use super::endpoints::{Endpoint, Endpoints};
use super::faults::{Fault, FaultBuilder, Faults};
use super::pattern::Pattern;
use super::sessions::{PortalSession, Sessions};
use super::state::{State, lock};
use super::{control, portal};

/// The options of a simulator. By default it listens on a free port of
/// 127.0.0.1, accepts any token and stores nothing on disk.
#[derive(Debug, Clone)]
pub struct Options {
    /// The address to listen on. Port 0 chooses a free port.
    pub listen: SocketAddr,
    /// The only token that is accepted. `None`: any token that is not empty.
    pub token: Option<String>,
    /// The JSON file that stores the applications, so that they survive a
    /// restart. It is created if it does not exist. `None`: memory only.
    pub data: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            token: None,
            data: None,
        }
    }
}

/// The reason why a simulator could not start.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// The simulator cannot listen on the address.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address from [`Options::listen`].
        address: SocketAddr,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The data file cannot be read, or was not written by a simulator.
    #[error("cannot use the data file {path}: {source}")]
    Data {
        /// The path from [`Options::data`].
        path: PathBuf,
        /// The error from reading or parsing the file.
        source: io::Error,
    },
    /// The certificate or its private key is invalid.
    #[error("cannot use the certificate: {0}")]
    Tls(String),
}

/// A running simulator. It stops when it is dropped.
pub struct Simulator {
    state: Arc<State>,
    address: SocketAddr,
    shutdown: CancellationToken,
    server: Option<JoinHandle<io::Result<()>>>,
}

impl Simulator {
    /// Starts a simulator that serves HTTP. It answers requests once this returns.
    pub async fn start(options: Options) -> Result<Self, SimulatorError> {
        Self::start_with(options, None).await
    }

    /// Starts a simulator that serves HTTPS with a certificate chain and its
    /// private key, both in PEM format.
    pub async fn start_tls(
        options: Options,
        certificate: &str,
        key: &str,
    ) -> Result<Self, SimulatorError> {
        Self::start_with(options, Some(tls_acceptor(certificate, key)?)).await
    }

    async fn start_with(
        options: Options,
        tls: Option<TlsAcceptor>,
    ) -> Result<Self, SimulatorError> {
        let applications = match options.data {
            None => Applications::in_memory(),
            Some(path) => Applications::open(path.clone())
                .map_err(|source| SimulatorError::Data { path, source })?,
        };
        let resets = Arc::new(Resets::default());
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (acceptor, address) = ConnectionAcceptor::bind(options.listen, tls, resets.clone())
            .await
            .map_err(|source| SimulatorError::Listen {
                address: options.listen,
                source,
            })?;
        let state = Arc::new(State {
            token: Mutex::new(options.token),
            applications,
            calls: Calls::default(),
            faults: Faults::default(),
            sessions: Sessions::default(),
            endpoints: Endpoints::default(),
            resets,
            scheme,
        });
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(serve(acceptor, state.clone(), shutdown.clone()));
        Ok(Self {
            state,
            address,
            shutdown,
            server: Some(server),
        })
    }

    /// Returns the base URL for the SDK's `server_url`, without a trailing slash.
    pub fn url(&self) -> String {
        format!("{}://{}", self.state.scheme, self.address)
    }

    /// Returns the address that the simulator listens on. To replace a stopped
    /// simulator, start another one with this address in [`Options::listen`].
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns all applications, oldest first.
    pub fn applications(&self) -> Vec<Application> {
        self.state.applications.all()
    }

    /// Returns the number of requests received: on one route with
    /// `calls(Route::Create)`, or for one application with
    /// `calls(Pattern::create().uid("acct_1"))`. Refused requests and requests
    /// with a fault are included.
    pub fn calls(&self, of: impl Into<Pattern>) -> u64 {
        self.state.calls.count(&of.into())
    }

    /// Waits until [`Self::calls`] is at least `count`. It waits forever if the
    /// requests do not come, so the caller must set a deadline.
    pub async fn wait_for_calls(&self, of: impl Into<Pattern>, count: u64) {
        self.state.calls.wait(&of.into(), count).await;
    }

    /// Returns the portal sessions issued so far, oldest first.
    pub fn portal_sessions(&self) -> Vec<PortalSession> {
        self.state.sessions.issued()
    }

    /// Returns the session ids in the calls to expire-all, in the order received.
    pub fn expired_sessions(&self) -> Vec<String> {
        self.state.sessions.expired()
    }

    /// Adds a webhook endpoint to the application with this id, as somebody in the
    /// App Portal does. Returns the endpoint's id.
    pub fn add_endpoint(&self, application: &str, url: &str) -> String {
        self.state.endpoints.add(application, url)
    }

    /// Returns the endpoints of the application with this id, oldest first.
    pub fn endpoints(&self, application: &str) -> Vec<Endpoint> {
        self.state.endpoints.of(application)
    }

    /// Accepts only this token from now on. `None`: any token that is not empty.
    pub fn set_token(&self, token: Option<&str>) {
        *lock(&self.state.token) = token.map(str::to_owned);
    }

    /// Prepares a fault for the requests that match `pattern`. The fault becomes
    /// active when [`FaultBuilder::times`], [`FaultBuilder::lasting`] or
    /// [`FaultBuilder::until_cleared`] is called.
    ///
    /// The oldest active fault that matches a request applies. To test a sequence
    /// of responses, set several faults with [`FaultBuilder::times`].
    pub fn fault(&self, pattern: Pattern, fault: Fault) -> FaultBuilder<'_> {
        self.state.faults.build(pattern, fault)
    }

    /// Removes all faults. Requests to which a fault already applies keep it.
    pub fn clear_faults(&self) {
        self.state.faults.replace(Vec::new());
    }

    /// Stops the simulator. When this returns, the port and all connections are closed.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        if let Some(server) = self.server.take() {
            // Tokio has already printed the message of a panic in the server.
            let _ = server.await;
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

async fn serve(
    acceptor: impl Acceptor + 'static,
    state: Arc<State>,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let routes = poem::Route::new()
        .nest_no_strip("/api/v1", Api::new(state.clone()))
        .nest_no_strip("/_simulator", control::routes())
        .nest_no_strip("/login", portal::routes())
        .data(state);
    Server::new_with_acceptor(acceptor)
        // No grace period: a request that hangs would keep the server running forever.
        .run_with_graceful_shutdown(routes, shutdown.cancelled(), Some(Duration::ZERO))
        .await
}
