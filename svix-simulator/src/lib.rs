//! A stand-in for the Svix server: a real HTTP (or HTTPS) server that answers
//! the official `svix` SDK as Svix does, and fails as told.
//!
//! Point the SDK's `server_url` at [`Simulator::url`]; any non-empty token is
//! accepted unless [`Options::token`] names the one that is.
//!
//! | route | path | answers |
//! |---|---|---|
//! | [`Route::Create`] | `POST /api/v1/app?get_if_exists=` | 201, 200 when it existed, 409, 422 |
//! | [`Route::Get`] | `GET /api/v1/app/{id or uid}` | 200, 404 |
//! | [`Route::Portal`] | `POST /api/v1/auth/app-portal-access/{id or uid}` | 200, 404, 422 |
//! | [`Route::ExpireAll`] | `POST /api/v1/auth/app/{id or uid}/expire-all` | 204, 404 |
//!
//! Each with or without a trailing slash. `GET /login` is the page that portal
//! links lead to.
//!
//! # Faults
//! [`Simulator::fault`] makes the requests that match a [`Pattern`] meet a
//! [`Fault`]. Faults set first are met first, so that a sequence of answers is
//! written as several faults with [`Fallible::times`].
//!
//! # Control over HTTP
//! For use by hand and from other processes; no token is asked for, so listen
//! on the loopback address.
//!
//! - `PUT /_simulator/faults` replaces all faults by those of the body (204; 400 says what is
//!   wrong with it):
//!   `[{"route": "create", "uid": "acct_1", "fault": {"status": 503}, "work_done": false, "times": 2, "for_ms": 60000}]`.
//!   Only `fault` is required. `route`: `create`, `get`, `portal`, `expire_all`. `fault`:
//!   `{"status": 503}`, `"rate_limited"`, `"race"`, `{"latency_ms": 2000}`, `"hang"`, `"reset"`,
//!   `"truncated_body"`, `"not_json"`, `{"huge_body": 10000000}`.
//! - `DELETE /_simulator/faults` removes them (204).
//! - `GET /_simulator/state` shows applications, calls, portal sessions and faults.

mod answer;
mod api;
mod applications;
mod calls;
mod connection;
mod control;
mod faults;
mod portal;
mod sessions;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use poem::listener::Acceptor;
use poem::{EndpointExt, Server};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use applications::Application;
pub use calls::Route;
pub use faults::{Fallible, Fault, Pattern};
pub use sessions::PortalSession;

use applications::Applications;
use calls::Calls;
use connection::{Incoming, Resets};
use faults::Faults;
use sessions::Sessions;

/// How a simulator is started. The default is a free port of 127.0.0.1, any
/// token, and nothing kept on disk.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The one token that is accepted. `None`: any that is not empty.
    pub token: Option<String>,
    /// A JSON file in which applications survive a restart.
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

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address of [`Options::listen`].
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The data file cannot be read, or is not one of ours.
    #[error("cannot use the data file {path}: {source}")]
    Data {
        /// The path of [`Options::data`].
        path: PathBuf,
        /// What reading or parsing it said.
        source: io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error("cannot use the certificate: {0}")]
    Tls(String),
}

/// What every request sees.
struct State {
    token: Mutex<Option<String>>,
    applications: Applications,
    calls: Calls,
    faults: Faults,
    sessions: Sessions,
    resets: Arc<Resets>,
    scheme: &'static str,
}

/// A running simulator. Dropping it stops it.
pub struct Simulator {
    state: Arc<State>,
    address: SocketAddr,
    shutdown: CancellationToken,
    server: Option<JoinHandle<io::Result<()>>>,
}

impl Simulator {
    /// Starts to serve HTTP. Requests are answered once this returns.
    pub async fn start(options: Options) -> Result<Self, SimulatorError> {
        Self::launch(options, None).await
    }

    /// Starts to serve HTTPS with this certificate chain and its private key, both PEM.
    pub async fn start_tls(
        options: Options,
        certificate: &str,
        key: &str,
    ) -> Result<Self, SimulatorError> {
        Self::launch(options, Some(connection::tls_acceptor(certificate, key)?)).await
    }

    async fn launch(
        options: Options,
        tls: Option<tokio_rustls::TlsAcceptor>,
    ) -> Result<Self, SimulatorError> {
        let applications = match options.data {
            None => Applications::in_memory(),
            Some(path) => Applications::open(path.clone())
                .map_err(|source| SimulatorError::Data { path, source })?,
        };
        let resets = Arc::new(Resets::default());
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (incoming, address) = Incoming::bind(options.listen, tls, resets.clone())
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
            resets,
            scheme,
        });
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(serve(incoming, state.clone(), shutdown.clone()));
        Ok(Self {
            state,
            address,
            shutdown,
            server: Some(server),
        })
    }

    /// The base URL, for the SDK's `server_url`; without a trailing slash.
    pub fn url(&self) -> String {
        format!("{}://{}", self.state.scheme, self.address)
    }

    /// The address listened on. Given to [`Options::listen`] it lets a second
    /// simulator take the place of one that was stopped.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All applications, in the order of their creation.
    pub fn applications(&self) -> Vec<Application> {
        self.state.applications.all()
    }

    /// How many requests were received: `calls(Route::Create)`, or of one
    /// application `calls(Pattern::create().uid("acct_1"))`. Those that met a
    /// fault or were refused are counted too.
    pub fn calls(&self, of: impl Into<Pattern>) -> u64 {
        self.state.calls.count(&of.into())
    }

    /// Waits until [`Self::calls`] is at least `count`. The deadline is the caller's.
    pub async fn wait_for_calls(&self, of: impl Into<Pattern>, count: u64) {
        self.state.calls.wait(&of.into(), count).await;
    }

    /// The portal sessions issued, oldest first.
    pub fn portal_sessions(&self) -> Vec<PortalSession> {
        self.state.sessions.issued()
    }

    /// The session ids that calls to expire-all named, in the order they came.
    pub fn expired_sessions(&self) -> Vec<String> {
        self.state.sessions.expired()
    }

    /// Accepts only this token from now on; `None`: any that is not empty.
    pub fn set_token(&self, token: Option<&str>) {
        *lock(&self.state.token) = token.map(str::to_owned);
    }

    /// Makes requests that match `pattern` meet `fault`. Nothing happens until
    /// one of [`Fallible`]'s methods says for how long.
    pub fn fault(&self, pattern: Pattern, fault: Fault) -> Fallible<'_> {
        self.state.faults.set(pattern, fault)
    }

    /// Removes all faults. Requests that already met one stay with it.
    pub fn clear_faults(&self) {
        self.state.faults.replace(Vec::new());
    }

    /// Stops: the port is closed and every connection is cut when this returns.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        if let Some(server) = self.server.take() {
            // A panic in the server has been printed already.
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
    incoming: impl Acceptor + 'static,
    state: Arc<State>,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let routes = poem::Route::new()
        .nest_no_strip("/api/v1", api::Api::new(state.clone()))
        .nest_no_strip("/_simulator", control::routes())
        .nest_no_strip("/login", portal::routes())
        .data(state);
    Server::new_with_acceptor(incoming)
        // No grace: a server that went away answers nobody, and a hanging
        // request would keep it alive for ever.
        .run_with_graceful_shutdown(routes, shutdown.cancelled(), Some(Duration::ZERO))
        .await
}

/// Locks, also after a panic in another test's thread: what is kept is valid at
/// every point where a panic is possible.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
