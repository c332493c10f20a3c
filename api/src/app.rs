//! What the operations work with, and how a request finds its operation.

use std::sync::Arc;
use std::time::Duration;

use poem::{Endpoint, EndpointExt, Route, get};
use shared::clock::Clock;
use shared::config::HttpConfig;
use shared::queue::{Nudge, Queue};
use shared::store::Store;
use shared::svix::{SvixClient, SvixConfig};
use tokio_util::task::TaskTracker;

use crate::auth::Sessions;
use crate::envelope::Envelope;
use crate::{dashboard, health, openapi};

/// How long Svix may take while somebody waits for a portal link.
const SVIX_TIMEOUT: Duration = Duration::from_secs(5);

/// Everything an operation may use. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The database.
    pub store: Arc<dyn Store>,
    /// The queue, for readiness alone: operations only ever nudge.
    pub queue: Arc<dyn Queue>,
    /// Tells the worker that there is work.
    pub nudge: Nudge,
    /// Svix, for portal links.
    pub svix: SvixClient,
    /// The time.
    pub clock: Clock,
    /// Where sessions come from.
    pub sessions: Sessions,
    /// The HTTP settings.
    pub http: Arc<HttpConfig>,
    /// Work that outlives its request; awaited at shutdown.
    pub background: TaskTracker,
}

impl App {
    /// An app on the given store and queue.
    pub fn new(
        store: Arc<dyn Store>,
        queue: Arc<dyn Queue>,
        nudge: Nudge,
        svix: &SvixConfig,
        sessions: Sessions,
        http: HttpConfig,
    ) -> Self {
        Self {
            store,
            queue,
            nudge,
            svix: SvixClient::new(svix, SVIX_TIMEOUT),
            clock: Clock::system(),
            sessions,
            http: Arc::new(http),
            background: TaskTracker::new(),
        }
    }

    /// The whole HTTP interface, and what `add` adds to its routes.
    pub fn endpoint(self, add: impl FnOnce(Route) -> Route) -> impl Endpoint + 'static {
        let service = openapi::service(&self.http.session_cookie);
        let envelope = Envelope::new(&service.document);
        let routes = dashboard::add_to(Route::new(), &self.http);
        add(routes)
            .at("/openapi.json", get(service.json()))
            .at("/openapi.yaml", get(service.yaml()))
            .at("/docs", get(service.docs()))
            .at("/healthz", get(health::live))
            .at("/readyz", get(health::ready))
            .nest("/", service.operations)
            .data(self)
            .with(envelope)
    }
}
