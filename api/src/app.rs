//! The dependencies of the operations, and the routes.

use std::ops::Deref;
use std::sync::Arc;

use poem::http::Method;
use poem::{Endpoint, Request, Response};
use shared::clock::Clock;
use shared::config::HttpConfig;
use shared::metrics;
use shared::queue::{Nudge, Queue};
use shared::store::{Origin, Revoked, Store};
use shared::svix::SvixConfig;

use crate::auth::Sessions;
use crate::http::{BodyRule, EveryRequest, Logged, Routes};
use crate::leaks::github;
use crate::limits::Limits;
use crate::portal::Portal;
use crate::published_keys::ClientError;
use crate::uses::Uses;
use crate::{dashboard, health, openapi, routes};

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
    /// GitHub's public keys, if its reports of leaked keys are accepted.
    pub github: Option<github::Keys>,
    /// The uses of keys that are not written yet.
    pub uses: Arc<Uses>,
}

impl App {
    /// Creates an app that uses the given store and queue, and the system clock. Call it within
    /// a runtime. Fails if the CA certificates are unusable.
    pub fn new(
        store: Arc<dyn Store>,
        queue: Arc<dyn Queue>,
        nudge: Nudge,
        svix: &SvixConfig,
        sessions: Sessions,
        http: HttpConfig,
    ) -> Result<Self, ClientError> {
        let github = http.github_keys.as_ref().map(github::keys_at);
        Ok(Self(Arc::new(Parts {
            uses: Arc::new(Uses::new(Arc::clone(&store))),
            store,
            queue,
            nudge,
            portal: Arc::new(Portal::new(svix)),
            limits: Arc::new(Limits::new(&http.limits)),
            clock: Clock::system(),
            sessions,
            github: github.transpose()?,
            http: Arc::new(http),
        })))
    }

    /// Does what follows the end of a key, whoever has ended it.
    pub fn has_revoked(&self, revoked: &Revoked, origin: &Origin) {
        metrics::KEYS_REVOKED.inc();
        let (key_id, prefix) = (revoked.key_id, &revoked.key_prefix);
        let client = origin.client_address.as_deref();
        let (actor, reason) = (origin.actor.as_str(), origin.reason.as_deref());
        tracing::info!(%key_id, %prefix, client, actor, reason, "key revoked");
        // The row is the job, as at a creation: the worker ends the portal sessions.
        if let Some(job) = revoked.job() {
            self.nudge.send(job);
        }
    }

    /// Returns the whole HTTP interface, with the routes that `add` adds.
    pub fn endpoint(
        self,
        add: impl FnOnce(Routes) -> Routes,
    ) -> impl Endpoint<Output = Response> + 'static {
        let service = openapi::service(&self.http.session_cookie);
        let docs = service.docs();
        let mut all = dashboard::add_to(service.routes, &self.http)
            .and_at("/healthz", Method::GET, health::live)
            .and_at("/readyz", Method::GET, health::ready);
        if self.http.docs {
            all = all.and_at("/docs", Method::GET, docs);
        }
        let mut bodies = routes::WITH_BODY;
        if self.github.is_some() {
            all = all.and_at(github::PATH, Method::POST, github::report);
            bodies = routes::WITH_BODY_AND_GITHUB;
        }
        let trusted_proxies = self.http.trusted_proxies.clone().into();
        EveryRequest {
            routes: add(all),
            prepare: move |request: &mut Request| request.set_data(self.clone()),
            trusted_proxies,
            bodies: BodyRule::KeptAt(bodies),
            logged: Logged::All,
        }
    }
}
