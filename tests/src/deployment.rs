//! The product, deployed: real processes, a database of its own, and the Svix
//! simulator in the test's process, where its faults are set.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::Value;
use shared::clock::{Clock, Timestamp};
use shared::ids::AccountId;
use shared::session::SessionToken;
use shared::store::{Backlog, SqliteStore, Store};
use shared::svix::SvixConfig;
use svix_simulator::{Options, Simulator};
use tempfile::TempDir;

use crate::client::Client;
use crate::wait::eventually;
use crate::{Process, RedisServer, TestDatabase, scratch};

/// How it is deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `api` and `worker` on PostgreSQL and Redis.
    Production,
    /// `standalone` on SQLite and memory.
    Embedded,
}

/// What a production deployment has and an embedded one has not.
pub struct Production {
    /// Its database.
    pub database: TestDatabase,
    /// Its Redis.
    pub redis: RedisServer,
    /// Its workers.
    pub workers: Vec<Process>,
    /// Its further api processes, each with a client.
    pub apis: Vec<(Process, Client)>,
    env: Vec<(&'static str, String)>,
}

/// How to deploy for production. The default: a database and a Redis of its own,
/// and no worker yet.
#[derive(Default)]
pub struct Plan {
    /// A database, if not a fresh one.
    pub database: Option<TestDatabase>,
    /// A Redis, if not a fresh one.
    pub redis: Option<RedisServer>,
    /// How many workers.
    pub workers: usize,
    /// Variables that differ from the usual, for all processes.
    pub env: Vec<(&'static str, String)>,
}

/// A running deployment. Dropping it ends everything.
pub struct Deployment {
    /// The `api`, or `standalone`.
    pub server: Process,
    /// A client of it.
    pub client: Client,
    /// Svix.
    pub svix: Simulator,
    /// Its store, to look into.
    pub store: Arc<dyn Store>,
    /// The rest, in production.
    pub production: Option<Production>,
    dir: TempDir,
}

/// The token that the deployments use with the simulator.
pub const SVIX_TOKEN: &str = "testsk_of_the_suites";

impl Deployment {
    /// Deploys, with one worker.
    pub async fn start(kind: Kind) -> Self {
        match kind {
            Kind::Production => Self::production(1).await,
            Kind::Embedded => Self::embedded(&[]).await,
        }
    }

    /// Deploys for production with so many workers.
    pub async fn production(workers: usize) -> Self {
        Self::planned(Plan {
            workers,
            ..Plan::default()
        })
        .await
    }

    /// Deploys for production as planned.
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

        let (dir, env) = (scratch(), production.env(&svix.url()));
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

    /// Deploys embedded, with variables that differ from the usual.
    pub async fn embedded(env: &[(&'static str, String)]) -> Self {
        let dir = scratch();
        let svix = Simulator::start(Options::default()).await.unwrap();
        let data = dir.path().join("data");
        let args = ["--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()];
        let env = [&svix_env(&svix.url()), env].concat();
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

    /// What only a production deployment has.
    pub fn in_production(&self) -> &Production {
        self.production.as_ref().expect("a production deployment")
    }

    /// The same, to change.
    pub fn in_production_mut(&mut self) -> &mut Production {
        self.production.as_mut().expect("a production deployment")
    }

    /// Starts one more worker.
    pub async fn start_worker(&mut self) {
        let env = self.env();
        let mut worker = Process::start(self.dir.path(), "worker", &[], &env);
        worker.logged("working").await;
        self.in_production_mut().workers.push(worker);
    }

    /// Starts one more api, and gives a client of it.
    pub async fn start_api(&self) -> (Process, Client) {
        let mut api = self.start_api_at("127.0.0.1:0").await;
        let client = Client::new(&api.url().await).await;
        (api, client)
    }

    /// Starts one more api, which belongs to the deployment.
    pub async fn add_api(&mut self) {
        let api = self.start_api().await;
        self.in_production_mut().apis.push(api);
    }

    /// Returns a client of each api process.
    pub fn clients(&self) -> Vec<&Client> {
        let further = self.production.iter().flat_map(|it| &it.apis);
        let further = further.map(|(_, client)| client);
        std::iter::once(&self.client).chain(further).collect()
    }

    /// Returns this many clients, which use the api processes in turn.
    pub fn crowd(&self, size: usize) -> impl Iterator<Item = Client> {
        let clients: Vec<Client> = self.clients().into_iter().cloned().collect();
        (0..size).map(move |i| clients[i % clients.len()].clone())
    }

    /// Starts one more api, which listens on this address.
    pub async fn start_api_at(&self, address: &str) -> Process {
        let args = ["--listen", address];
        let mut api = Process::start(self.dir.path(), "api", &args, &self.env());
        api.url().await;
        api
    }

    /// The variables that production processes are started with.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        self.in_production().env(&self.svix.url())
    }

    /// The directory with the logs of all processes.
    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// The status and body of a probe, `/healthz` or `/readyz`. Its 503 is no error
    /// of the api's and so not in the shape of one.
    pub async fn probe(&self, path: &str) -> (u16, Value) {
        let url = format!("{}{path}", self.client.base());
        let answer = reqwest::get(url).await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// A session of a new account.
    pub async fn session(&self) -> String {
        self.session_of(&new_account()).await
    }

    /// A session of this account.
    pub async fn session_of(&self, account: &str) -> String {
        issue_session(&*self.store, account).await
    }

    /// A session of a new account, which has ended.
    pub async fn expired_session(&self) -> String {
        let begun = Clock::system().now() - Duration::from_hours(2);
        put_session(&*self.store, &new_account(), begun).await
    }

    /// Sessions of so many new accounts.
    pub async fn sessions(&self, count: usize) -> Vec<String> {
        // Side by side, because a load needs thousands of them.
        let store = &self.store;
        let issue = |_| async move { issue_session(&**store, &new_account()).await };
        stream::iter(0..count)
            .map(issue)
            .buffered(16)
            .collect()
            .await
    }

    /// Waits until no active key is without its webhook.
    pub async fn all_provisioned(&self, deadline: Duration) {
        let backlog = || async { self.store.backlog(Clock::system().now()).await };
        eventually("everything is provisioned", deadline, backlog, |backlog| {
            let done = |b: &Backlog| b.due + b.leased + b.waiting + b.failed == 0;
            backlog.as_ref().is_ok_and(done)
        })
        .await
        .unwrap();
    }

    /// Waits until the session's key has its webhook, and gives what GET shows.
    pub async fn provisioned(&self, session: &str, deadline: Duration) -> Value {
        let shown = || async { self.client.show(session).await.body };
        eventually("has_webhook", deadline, shown, |key| {
            key["has_webhook"] == true
        })
        .await
    }
}

/// An account that nobody has had yet.
fn new_account() -> String {
    format!("auth0|{}", uuid::Uuid::new_v4().simple())
}

/// A session of this account, an hour long, put into this store.
pub async fn issue_session(store: &dyn Store, account: &str) -> String {
    put_session(store, account, Clock::system().now()).await
}

async fn put_session(store: &dyn Store, account: &str, begins: Timestamp) -> String {
    let token = SessionToken::generate().unwrap();
    let account = AccountId::parse(account).unwrap();
    let ends = begins + Duration::from_hours(1);
    let hash = token.hash();
    let issued = store.insert_session(&hash, &account, begins, ends);
    issued.await.unwrap();
    token.expose().to_owned()
}

impl Production {
    fn env(&self, svix_url: &str) -> Vec<(&'static str, String)> {
        let mut env = svix_env(svix_url);
        env.extend([
            ("DATABASE_URL", self.database.url()),
            ("REDIS_URL", self.redis.url()),
            ("LISTEN_ADDR", "127.0.0.1:0".to_owned()),
        ]);
        env.extend(self.env.iter().cloned()); // the last of a name counts
        env
    }
}

/// Returns the settings with which code in the test's own process calls the simulator.
pub fn svix_config(svix: &Simulator) -> SvixConfig {
    SvixConfig {
        token: SVIX_TOKEN.into(),
        server_url: Some(svix.url()),
    }
}

fn svix_env(url: &str) -> Vec<(&'static str, String)> {
    vec![
        ("SVIX_TOKEN", SVIX_TOKEN.to_owned()),
        ("SVIX_SERVER_URL", url.to_owned()),
    ]
}
