//! Deploys the product for a test: real processes and a private database. The Svix
//! simulator runs in the process of the test, which can set faults in it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::Value;
use shared::clock::{Clock, Timestamp};
use shared::config::Pooler;
use shared::ids::AccountId;
use shared::session::SessionToken;
use shared::store::{Backlog, SqliteStore, Store};
use shared::svix::SvixConfig;
use svix_simulator::{Options, Simulator};
use tempfile::TempDir;

use crate::client::Client;
use crate::postgres::Role;
use crate::wait::eventually;
use crate::{Process, RedisServer, TestDatabase, scratch};

/// A way to deploy the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `api` and `worker` processes with PostgreSQL and Redis.
    Production,
    /// One `standalone` process with SQLite and an in-memory queue.
    Embedded,
}

/// The parts of a deployment that only a production deployment has.
pub struct Production {
    /// The database.
    pub database: TestDatabase,
    /// The Redis server.
    pub redis: RedisServer,
    /// The worker processes.
    pub workers: Vec<Process>,
    /// The additional api processes, each with a client.
    pub apis: Vec<(Process, Client)>,
    env: Vec<(&'static str, String)>,
}

/// The options of a production deployment. The default is a new database, a new
/// Redis server and no worker.
#[derive(Default)]
pub struct Plan {
    /// An existing database to use. If `None`, a new one is created.
    pub database: Option<TestDatabase>,
    /// An existing Redis server to use. If `None`, a new one is started.
    pub redis: Option<RedisServer>,
    /// The number of workers.
    pub workers: usize,
    /// Environment variables for all processes, which override the defaults.
    pub env: Vec<(&'static str, String)>,
}

/// A running deployment. All of it is stopped when this is dropped.
pub struct Deployment {
    /// The `api` process, or the `standalone` process if embedded.
    pub server: Process,
    /// A client of `server`.
    pub client: Client,
    /// The Svix simulator.
    pub svix: Simulator,
    /// A separate store on the same database, so that a test can inspect it.
    pub store: Arc<dyn Store>,
    /// The additional parts of a production deployment. `None` if embedded.
    pub production: Option<Production>,
    dir: TempDir,
}

/// The Svix token that the deployments send to the simulator.
pub const SVIX_TOKEN: &str = "testsk_of_the_suites";

impl Deployment {
    /// Starts a deployment. In production it has one worker.
    pub async fn start(kind: Kind) -> Self {
        match kind {
            Kind::Production => Self::production(1).await,
            Kind::Embedded => Self::embedded(&[]).await,
        }
    }

    /// Starts a production deployment with this many workers.
    pub async fn production(workers: usize) -> Self {
        Self::planned(Plan {
            workers,
            ..Plan::default()
        })
        .await
    }

    /// Starts a production deployment with these options.
    pub async fn planned(plan: Plan) -> Self {
        let database = match plan.database {
            Some(database) => database,
            None => TestDatabase::migrated().await,
        };
        let redis = match plan.redis {
            Some(redis) => redis,
            None => RedisServer::start().await,
        };
        let svix = Simulator::start(Options::default()).await.unwrap();
        let (env, workers, apis) = (plan.env, Vec::new(), Vec::new());
        let production = Production {
            database,
            redis,
            workers,
            apis,
            env,
        };

        let (dir, env) = (scratch(), production.env(&svix.url(), Some(Role::Api)));
        let mut server = Process::start(dir.path(), "api", &[], &env);
        let client = Client::new(&server.url().await).await;
        let store = Arc::new(production.database.store());
        let production = Some(production);
        let mut deployment = Self {
            server,
            client,
            svix,
            store,
            production,
            dir,
        };
        for _ in 0..plan.workers {
            deployment.start_worker().await;
        }
        deployment
    }

    /// Starts an embedded deployment. The variables in `env` override the defaults.
    pub async fn embedded(env: &[(&'static str, String)]) -> Self {
        let dir = scratch();
        let svix = Simulator::start(Options::default()).await.unwrap();
        let data = dir.path().join("data");
        let args = ["--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()];
        let env = [&common_env(&svix.url()), env].concat();
        let mut server = Process::start(dir.path(), "standalone", &args, &env);
        let client = Client::new(&server.url().await).await;
        let store = SqliteStore::open(&data.join("partner-keys.db"))
            .await
            .unwrap();
        Self {
            server,
            client,
            svix,
            store: Arc::new(store),
            production: None,
            dir,
        }
    }

    /// Returns the production parts. Panics if the deployment is embedded.
    pub fn in_production(&self) -> &Production {
        self.production
            .as_ref()
            .expect("the deployment must be a production one")
    }

    /// Returns the production parts for changes. Panics if the deployment is
    /// embedded.
    pub fn in_production_mut(&mut self) -> &mut Production {
        self.production
            .as_mut()
            .expect("the deployment must be a production one")
    }

    /// Starts an additional worker and waits until it is working.
    pub async fn start_worker(&mut self) {
        let env = self.env_for(Role::Worker);
        let mut worker = Process::start(self.dir.path(), "worker", &[], &env);
        worker.logged("working").await;
        self.in_production_mut().workers.push(worker);
    }

    /// Starts an additional api process. Returns it with a client of it.
    pub async fn start_api(&self) -> (Process, Client) {
        let mut api = self.start_api_at("127.0.0.1:0").await;
        let client = Client::new(&api.url().await).await;
        (api, client)
    }

    /// Starts an additional api process and adds it to the deployment.
    pub async fn add_api(&mut self) {
        let api = self.start_api().await;
        self.in_production_mut().apis.push(api);
    }

    /// Returns a client of each api process.
    pub fn clients(&self) -> Vec<&Client> {
        let apis = self.production.iter().flat_map(|it| &it.apis);
        let additional = apis.map(|(_, client)| client);
        std::iter::once(&self.client).chain(additional).collect()
    }

    /// Returns `size` clients, spread evenly over the api processes.
    pub fn crowd(&self, size: usize) -> impl Iterator<Item = Client> {
        let clients: Vec<Client> = self.clients().into_iter().cloned().collect();
        (0..size).map(move |i| clients[i % clients.len()].clone())
    }

    /// Starts an additional api process, which listens on this address.
    pub async fn start_api_at(&self, address: &str) -> Process {
        let args = ["--listen", address];
        let mut api = Process::start(self.dir.path(), "api", &args, &self.env_for(Role::Api));
        api.url().await;
        api
    }

    /// Returns the environment variables of the production processes, with the database's
    /// superuser.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        self.in_production().env(&self.svix.url(), None)
    }

    /// Returns the environment variables of this part of the service.
    pub fn env_for(&self, role: Role) -> Vec<(&'static str, String)> {
        self.in_production().env(&self.svix.url(), Some(role))
    }

    /// Returns the directory that contains the logs of all processes.
    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Requests a probe, `/healthz` or `/readyz`, and returns its status and body.
    ///
    /// It does not use [`Client`], because the body of a probe's 503 response does
    /// not have the format of an API error.
    pub async fn probe(&self, path: &str) -> (u16, Value) {
        let url = format!("{}{path}", self.client.base());
        let response = crate::http::get(url).await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// Creates a session of a new account and returns its token.
    pub async fn session(&self) -> String {
        self.session_of(&new_account()).await
    }

    /// Creates a session of this account and returns its token.
    pub async fn session_of(&self, account: &str) -> String {
        issue_session(&*self.store, account).await
    }

    /// Creates an expired session of a new account and returns its token.
    pub async fn expired_session(&self) -> String {
        let starts_at = Clock::system().now() - Duration::from_hours(2);
        insert_session(&*self.store, &new_account(), starts_at).await
    }

    /// Creates one session for each of `count` new accounts and returns the tokens.
    pub async fn sessions(&self, count: usize) -> Vec<String> {
        // In parallel, because a load needs thousands of sessions.
        let store = &self.store;
        let issue = |_| async move { issue_session(&**store, &new_account()).await };
        stream::iter(0..count)
            .map(issue)
            .buffered(16)
            .collect()
            .await
    }

    /// Waits until every active key has its webhook.
    pub async fn all_provisioned(&self, deadline: Duration) {
        let backlog = || async { self.store.backlog(Clock::system().now()).await };
        eventually("every key has its webhook", deadline, backlog, |backlog| {
            let done = |b: &Backlog| b.due + b.leased + b.waiting + b.failed == 0;
            backlog.as_ref().is_ok_and(done)
        })
        .await
        .unwrap();
    }

    /// Waits until the key of this session has its webhook. Returns the body of the
    /// GET response.
    pub async fn provisioned(&self, session: &str, deadline: Duration) -> Value {
        let shown = || async { self.client.show(session).await.body };
        eventually("the key has its webhook", deadline, shown, |key| {
            key["has_webhook"] == true
        })
        .await
    }
}

/// Returns a new, unique account id.
fn new_account() -> String {
    format!("auth0|{}", uuid::Uuid::new_v4().simple())
}

/// Creates a session of this account in `store` and returns its token. The session
/// starts now and expires after one hour.
pub async fn issue_session(store: &dyn Store, account: &str) -> String {
    insert_session(store, account, Clock::system().now()).await
}

/// Creates a session that starts at this time and expires one hour later.
async fn insert_session(store: &dyn Store, account: &str, starts_at: Timestamp) -> String {
    let token = SessionToken::generate().unwrap();
    let account = AccountId::parse(account).unwrap();
    let expires_at = starts_at + Duration::from_hours(1);
    let hash = token.hash();
    let inserted = store.insert_session(&hash, &account, starts_at, expires_at);
    inserted.await.unwrap();
    token.expose().to_owned()
}

impl Production {
    fn env(&self, svix_url: &str, role: Option<Role>) -> Vec<(&'static str, String)> {
        let database = match role {
            Some(role) => self.database.url_for(role),
            None => self.database.url(),
        };
        let mut env = common_env(svix_url);
        env.extend([
            ("DATABASE_URL", database),
            ("REDIS_URL", self.redis.service_url()),
            ("LISTEN_ADDR", "127.0.0.1:0".to_owned()),
        ]);
        if self.database.pooler_for(role) == Pooler::Transaction {
            env.push(("DATABASE_POOLER", "transaction".to_owned()));
        }
        env.extend(self.env.iter().cloned()); // the last value of a name takes effect
        env
    }
}

/// Returns the settings that code in the process of the test needs to call the
/// simulator.
pub fn svix_config(svix: &Simulator) -> SvixConfig {
    SvixConfig {
        token: SVIX_TOKEN.into(),
        server_url: Some(svix.url()),
        uid_prefix: String::new(),
    }
}

/// Returns the settings that all deployments share.
fn common_env(url: &str) -> Vec<(&'static str, String)> {
    vec![
        ("SVIX_TOKEN", SVIX_TOKEN.to_owned()),
        ("SVIX_SERVER_URL", url.to_owned()),
        // The cases do more than a caller may. The suite `attacks` tests the limits.
        ("RATE_LIMIT_CREATE", "off".to_owned()),
        ("RATE_LIMIT_PORTAL", "off".to_owned()),
        ("RATE_LIMIT_FAILED_AUTH", "off".to_owned()),
        ("RATE_LIMIT_REPORTS", "off".to_owned()),
        ("DEMO", "on".to_owned()),
    ]
}
