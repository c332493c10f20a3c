//! The dependencies of the operations, and the routes.

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
use crate::{dashboard, health, http, openapi};

/// The time limit of a call to Svix while a client waits for a portal link.
const SVIX_TIMEOUT: Duration = Duration::from_secs(5);

/// Everything that an operation may use. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The database.
    pub store: Arc<dyn Store>,
    /// The queue, for the readiness check. Operations use `nudge`.
    pub queue: Arc<dyn Queue>,
    /// Tells the worker that there is a job.
    pub nudge: Nudge,
    /// The Svix client, for portal links.
    pub svix: SvixClient,
    /// The source of the current time.
    pub clock: Clock,
    /// The source of sessions.
    pub sessions: Sessions,
    /// The HTTP settings.
    pub http: Arc<HttpConfig>,
    /// Work that goes on after its response. It is awaited at shutdown.
    pub background: TaskTracker,
}

impl App {
    /// Creates an app that uses the given store and queue, and the system clock.
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

    /// Returns the whole HTTP interface, with the routes that `add` adds.
    pub fn endpoint(self, add: impl FnOnce(Route) -> Route) -> impl Endpoint + 'static {
        let service = openapi::service(&self.http.session_cookie);
        let routes = dashboard::add_to(Route::new(), &self.http);
        let routes = add(routes)
            .at("/openapi.json", get(service.json()))
            .at("/openapi.yaml", get(service.yaml()))
            .at("/docs", get(service.docs()))
            .at("/healthz", get(health::live))
            .at("/readyz", get(health::ready))
            .nest("/", service.operations)
            .data(self);
        http::wrap(routes, &service.document)
    }
}
