//! A queue in a Redis of its own, rows to provision, and workers in this
//! process, each of which the test starts and feeds.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, FromRedisValue};
use shared::clock::Clock;
use shared::ids::KeyId;
use shared::queue::{Queue, RedisQueue};
use shared::store::{Backlog, Job, Store};
use svix_simulator::{Options, Simulator};
use tests::backlog::insert_due_rows;
use tests::deployment::svix_config;
use tests::stores::{Database, StoreUnderTest, job};
use tests::{RedisServer, eventually};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use worker::liveness::{Liveness, Pulse};
use worker::provision_webhook::Provisioner;
use worker::queue_loop::QueueLoop;
use worker::sweep::Sweep;

/// How long anything may take that is not measured.
pub const PATIENCE: Duration = Duration::from_mins(1);
/// Jobs that a worker works on at once.
pub const CONCURRENCY: usize = 16;

/// The keys in Redis, as apalis-redis names them.
pub const ACTIVE: &str = "partner-keys:provision:active";
pub const SCHEDULED: &str = "partner-keys:provision:scheduled";
pub const DATA: &str = "partner-keys:provision:data";
pub const META: &str = "partner-keys:provision:meta";
pub const INFLIGHT: &str = "partner-keys:provision:inflight";
pub const WORKERS: &str = "partner-keys:provision:workers";
pub const WORKER: &str = "partner-keys:provision:workers:metadata";
pub const QUEUES: &str = "core:apalis:queues:list";

pub struct Rig {
    pub redis: RedisServer,
    pub db: StoreUnderTest,
    pub svix: Simulator,
    pub clock: Clock,
    pub queue: RedisQueue,
}

/// A running worker, or its sweep. Ends with the test.
pub struct Worker {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Rig {
    pub async fn start() -> Self {
        let redis = RedisServer::start().await;
        let clock = Clock::system();
        Self {
            queue: queue(&redis, clock.clone()),
            redis,
            db: StoreUnderTest::migrated(Database::Postgres).await,
            svix: Simulator::start(Options::default()).await.unwrap(),
            clock,
        }
    }

    /// Puts so many due rows into the database; their jobs, not sent.
    pub async fn due_rows(&self, count: usize) -> Vec<Job> {
        insert_due_rows(self.db.postgres(), count).await;
        let all = i64::try_from(count).unwrap();
        self.db.store.due(self.clock.now(), all).await.unwrap()
    }

    /// Sends jobs to the queue, all of which it takes.
    pub async fn push(&self, jobs: &[Job]) {
        assert_eq!(self.queue.push(jobs).await.unwrap(), jobs.len());
    }

    /// A worker's loop on this store and queue.
    pub fn queue_loop(&self, store: Arc<dyn Store>, queue: Arc<dyn Queue>) -> QueueLoop {
        let svix = svix_config(&self.svix);
        let provisioner = Provisioner::new(store, &svix, self.clock.clone());
        QueueLoop::new(queue, Arc::new(provisioner), CONCURRENCY, Liveness::watch())
    }

    /// Starts a worker, without its sweep.
    pub fn work(&self) -> Worker {
        let queue_loop = self.queue_loop(self.db.store.clone(), Arc::new(self.queue.clone()));
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move { queue_loop.run(stopped).await.unwrap() });
        Worker { stop, task }
    }

    pub fn sweep(&self) -> Sweep {
        Sweep {
            store: self.db.store.clone(),
            queue: Arc::new(self.queue.clone()),
            clock: self.clock.clone(),
            pulse: Pulse::default(),
        }
    }

    /// Starts the sweep.
    pub fn keep_sweeping(&self) -> Worker {
        let (sweep, stop) = (self.sweep(), CancellationToken::new());
        let task = tokio::spawn(sweep.run(stop.clone()));
        Worker { stop, task }
    }

    /// Waits until no row has work left.
    pub async fn all_done(&self, deadline: Duration) {
        let left = async || self.db.store.backlog(self.clock.now()).await.unwrap();
        let none = |left: &Backlog| left.due + left.leased + left.waiting + left.failed == 0;
        eventually("all is provisioned", deadline, left, none).await;
    }

    pub async fn redis(&self) -> MultiplexedConnection {
        self.redis.connection().await
    }

    /// What a command of Redis answers.
    pub async fn ask<T: FromRedisValue>(&self, command: &[&str]) -> T {
        let mut asked = redis::cmd(command[0]);
        asked.arg(&command[1..]);
        asked.query_async(&mut self.redis().await).await.unwrap()
    }

    pub async fn keys(&self) -> BTreeSet<String> {
        self.redis().await.keys("*").await.unwrap()
    }

    /// The names of the workers that are known.
    pub async fn names(&self) -> BTreeSet<String> {
        let workers = self.queue.workers().await.unwrap();
        workers.into_iter().map(|worker| worker.name).collect()
    }

    /// Waits until so many workers are known; their names.
    pub async fn workers(&self, count: usize) -> BTreeSet<String> {
        let names = || self.names();
        eventually("the workers are known", PATIENCE, names, |names| {
            names.len() == count
        })
        .await
    }

    /// Waits until one worker is known, but not by this name; its name.
    pub async fn renamed(&self, old: &str) -> String {
        let names = || self.names();
        let is_another = |names: &BTreeSet<String>| names.len() == 1 && !names.contains(old);
        let names = eventually("a new name", PATIENCE, names, is_another).await;
        names.into_iter().next().unwrap()
    }

    /// Waits until Redis holds nothing but the registrations of so many workers.
    pub async fn holds_only(&self, workers: usize) {
        let is_left = |keys: &BTreeSet<String>| {
            let registered = keys.iter().filter(|key| key.starts_with(WORKER)).count();
            // QUEUES has one entry, ever.
            let others = keys.iter().filter(|key| !key.starts_with(WORKER));
            let others: Vec<&str> = others.map(String::as_str).collect();
            let expected = if workers > 0 {
                &[QUEUES, WORKERS][..]
            } else {
                &[QUEUES]
            };
            registered == workers && others == expected
        };
        let keys = || self.keys();
        eventually("Redis holds no job", PATIENCE, keys, is_left).await;
        assert_eq!(self.names().await.len(), workers);
    }
}

impl Worker {
    /// Stops it, and waits until it has.
    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// A queue in this Redis, by this clock.
pub fn queue(redis: &RedisServer, clock: Clock) -> RedisQueue {
    RedisQueue::new(redis::Client::open(redis.url()).unwrap(), clock).unwrap()
}

/// Jobs of rows that are not there.
pub fn jobs_of_nobody(count: usize) -> Vec<Job> {
    let jobs = std::iter::repeat_with(|| job(KeyId::generate(Clock::system().now()), 0));
    jobs.take(count).collect()
}
