//! The admin listener, at `ADMIN_ADDR`: `/metrics` for Prometheus, and `/healthz`. The api,
//! the worker and standalone have the same one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use poem::endpoint::make;
use poem::{Endpoint, Response, Route, get};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::metrics;
use crate::server::{self, BindError, Listener};
use crate::store::Store;

/// The number of open connections. Few scrapers and probes come at the same time.
const MAX_CONNECTIONS: usize = 64;

/// The time for which what was asked of the database and Redis is shown again. However
/// often somebody scrapes, it costs no more.
const FRESH: Duration = Duration::from_secs(5);

/// Metrics that must be asked for, for instance of the database.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// Asks for them, and sets their gauges.
    async fn refresh(&self);
}

/// What the admin listener shows.
pub struct Admin<H> {
    /// The answer of `/healthz`.
    pub health: H,
    /// What is asked for at a scrape.
    pub scrape: Arc<Scrape>,
}

impl<H: Endpoint + 'static> Admin<H> {
    /// Listens on the address, and serves in the background until `shutdown`. Call it within a
    /// runtime.
    pub fn start(self, address: SocketAddr, shutdown: CancellationToken) -> Result<(), BindError> {
        let bound = server::bind(Listener::Admin, address)?;
        let address = bound.address;
        tracing::info!(%address, "showing metrics and health");
        let metrics = make(move |_| {
            let scrape = Arc::clone(&self.scrape);
            async move { Ok::<_, poem::Error>(scrape.answer().await) }
        });
        let routes = Route::new()
            .at("/healthz", get(self.health))
            .at("/metrics", get(metrics));
        tokio::spawn(bound.serve(routes, MAX_CONNECTIONS, shutdown));
        Ok(())
    }
}

/// What is asked for before metrics are shown or sent. However often that is, it is asked
/// for at most once in [`FRESH`].
pub struct Scrape {
    store: Arc<dyn Store>,
    sources: Vec<Box<dyn Source>>,
    /// The time of the last refresh. Whoever refreshes holds it, and the others wait.
    refreshed: Mutex<Option<Instant>>,
}

impl Scrape {
    /// Creates a scrape of these sources, and of the connections to the database.
    pub fn new(store: Arc<dyn Store>, sources: Vec<Box<dyn Source>>) -> Arc<Self> {
        Arc::new(Self {
            store,
            sources,
            refreshed: Mutex::default(),
        })
    }

    /// Asks for what is not fresh.
    pub async fn refresh(&self) {
        let mut refreshed = self.refreshed.lock().await;
        if refreshed.is_none_or(|at| at.elapsed() >= FRESH) {
            for source in &self.sources {
                source.refresh().await;
            }
            *refreshed = Some(Instant::now());
        }
        drop(refreshed);
        self.store.pool_use().show();
    }

    async fn answer(&self) -> Response {
        self.refresh().await;
        let answer = Response::builder().content_type(metrics::CONTENT_TYPE);
        answer.body(metrics::text())
    }
}
