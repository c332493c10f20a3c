//! The dependencies of the operations, and the routes.

use std::ops::Deref;
use std::sync::Arc;

use poem::{Endpoint, EndpointExt, Route, get};
use shared::clock::Clock;
use shared::config::HttpConfig;
use shared::queue::{Nudge, Queue};
use shared::store::Store;
use shared::svix::SvixConfig;

use crate::auth::Sessions;
use crate::http::{BodyRule, Logged};
use crate::limits::Limits;
use crate::portal::Portal;
use crate::uses::Uses;
use crate::{dashboard, health, http, openapi, routes};

/// Everything that an operation may use. Cheap to clone: each request has a clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// The parts of an [`App`], which all its clones share.
pub struct Parts {
    /// The database.
    pub store: Arc<dyn Store>,
    /// The queue, for the readiness check. Operations use `nudge`.
    pub queue: Arc<dyn Queue>,
    /// Tells the worker that there is a job.
    pub nudge: Nudge,
    /// The source of portal links.
    pub portal: Arc<Portal>,
    /// The limits on what one caller may do.
    pub limits: Arc<Limits>,
    /// The source of the current time.
    pub clock: Clock,
    /// The source of sessions.
    pub sessions: Sessions,
    /// The HTTP settings.
    pub http: Arc<HttpConfig>,
    /// The uses of keys that are not written yet.
    pub uses: Arc<Uses>,
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
        Self(Arc::new(Parts {
            uses: Arc::new(Uses::new(Arc::clone(&store))),
            store,
            queue,
            nudge,
            portal: Arc::new(Portal::new(svix)),
            limits: Arc::new(Limits::new(&http.limits)),
            clock: Clock::system(),
            sessions,
            http: Arc::new(http),
        }))
    }

    /// Returns the whole HTTP interface, with the routes that `add` adds.
    pub fn endpoint(self, add: impl FnOnce(Route) -> Route) -> impl Endpoint + 'static {
        let service = openapi::service(&self.http.session_cookie);
        let all = dashboard::add_to(Route::new(), &self.http);
        let all = if self.http.docs {
            all.at("/docs", get(service.docs()))
        } else {
            all
        };
        let trusted_proxies = self.http.trusted_proxies.clone().into();
        let all = add(all)
            .at("/openapi.json", get(service.json()))
            .at("/openapi.yaml", get(service.yaml()))
            .at("/healthz", get(health::live))
            .at("/readyz", get(health::ready))
            .nest("/", service.operations)
            .data(self);
        http::wrap(
            all,
            &service.document,
            trusted_proxies,
            BodyRule::KeptAt(routes::WITH_BODY),
            Logged::All,
        )
    }
}
