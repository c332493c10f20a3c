//! A queue on a private Redis, rows to provision, and workers that a test starts in this
//! process.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, FromRedisValue};
use shared::clock::Clock;
use shared::config::RedisConfig;
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
use worker::job::JobRunner;
use worker::liveness::{Liveness, Pulse};
use worker::queue_loop::QueueLoop;
use worker::sweep::Sweep;

/// The deadline for steps whose duration is not tested.
pub const PATIENCE: Duration = Duration::from_mins(1);
/// The number of jobs that a worker runs at once.
pub const CONCURRENCY: usize = 16;

/// The keys in Redis, as apalis-redis names them.
pub const ACTIVE: &str = "partner-keys:{partner-keys}:active";
pub const SCHEDULED: &str = "partner-keys:{partner-keys}:scheduled";
pub const DATA: &str = "partner-keys:{partner-keys}:data";
pub const META: &str = "partner-keys:{partner-keys}:meta";
pub const INFLIGHT: &str = "partner-keys:{partner-keys}:inflight";
pub const WORKERS: &str = "partner-keys:{partner-keys}:workers";

/// The servers, the store and the queue of one test.
pub struct QueueTest {
    pub redis: RedisServer,
    pub db: StoreUnderTest,
    pub svix: Simulator,
    pub clock: Clock,
    pub queue: RedisQueue,
}

/// A running worker or sweep. It ends with the test.
pub struct Worker {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl QueueTest {
    /// Starts a Redis, a database and a Svix simulator.
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

    /// Inserts `count` due rows into the database. Returns their jobs, which are not sent.
    pub async fn due_rows(&self, count: usize) -> Vec<Job> {
        insert_due_rows(self.db.postgres(), count).await;
        let all = i64::try_from(count).unwrap();
        self.db.store.due(self.clock.now(), 0, all).await.unwrap()
    }

    /// Sends jobs to the queue, and checks that it accepts all of them.
    pub async fn push(&self, jobs: &[Job]) {
        assert_eq!(self.queue.push(jobs).await.unwrap(), jobs.len());
    }

    /// Creates a worker's loop with this store and queue.
    pub fn queue_loop(&self, store: Arc<dyn Store>, queue: Arc<dyn Queue>) -> QueueLoop {
        let svix = svix_config(&self.svix);
        let provisioner = JobRunner::new(store, &svix, self.clock.clone());
        QueueLoop::new(queue, Arc::new(provisioner), CONCURRENCY, Liveness::watch())
    }

    /// Starts a worker without its sweep.
    pub fn start_worker(&self) -> Worker {
        let queue_loop = self.queue_loop(self.db.store.clone(), Arc::new(self.queue.clone()));
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move { queue_loop.run(stopped).await.unwrap() });
        Worker { stop, task }
    }

    /// Creates a sweep that is not running.
    pub fn sweep(&self) -> Sweep {
        Sweep {
            store: self.db.store.clone(),
            queue: Arc::new(self.queue.clone()),
            clock: self.clock.clone(),
            pulse: Pulse::default(),
        }
    }

    /// Starts a sweep.
    pub fn start_sweep(&self) -> Worker {
        let (sweep, stop) = (self.sweep(), CancellationToken::new());
        let task = tokio::spawn(sweep.run(stop.clone()));
        Worker { stop, task }
    }

    /// Waits until every row is provisioned.
    pub async fn all_done(&self, deadline: Duration) {
        let left = async || self.db.store.backlog(self.clock.now()).await.unwrap();
        let none = |left: &Backlog| left.due + left.leased + left.waiting + left.failed == 0;
        eventually("all rows are provisioned", deadline, left, none).await;
    }

    /// Connects to Redis.
    pub async fn redis(&self) -> MultiplexedConnection {
        self.redis.connection().await
    }

    /// Runs a command on Redis. Returns the reply.
    pub async fn run_command<T: FromRedisValue>(&self, command: &[&str]) -> T {
        let mut redis_command = redis::cmd(command[0]);
        redis_command.arg(&command[1..]);
        redis_command
            .query_async(&mut self.redis().await)
            .await
            .unwrap()
    }

    /// Returns all keys in Redis.
    pub async fn keys(&self) -> BTreeSet<String> {
        self.redis().await.keys("*").await.unwrap()
    }

    /// Returns the names of the registered workers.
    pub async fn names(&self) -> BTreeSet<String> {
        let workers = self.queue.workers().await.unwrap();
        workers.into_iter().map(|worker| worker.name).collect()
    }

    /// Waits until `count` workers are registered. Returns their names.
    pub async fn workers(&self, count: usize) -> BTreeSet<String> {
        let names = || self.names();
        eventually("the workers are registered", PATIENCE, names, |names| {
            names.len() == count
        })
        .await
    }

    /// Waits until one worker is registered under another name than `old`. Returns that name.
    pub async fn renamed(&self, old: &str) -> String {
        let names = || self.names();
        let is_another = |names: &BTreeSet<String>| names.len() == 1 && !names.contains(old);
        let names = eventually("the worker has a new name", PATIENCE, names, is_another).await;
        names.into_iter().next().unwrap()
    }

    /// Waits until Redis holds only the registrations of the given number of workers.
    pub async fn holds_only(&self, workers: usize) {
        let is_left = |keys: &BTreeSet<String>| {
            let expected = if workers > 0 { &[WORKERS][..] } else { &[] };
            keys.iter().eq(expected)
        };
        let keys = || self.keys();
        eventually("Redis holds no job", PATIENCE, keys, is_left).await;
        assert_eq!(self.names().await.len(), workers);
    }
}

impl Worker {
    /// Stops the worker or sweep, and waits until it has ended.
    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// Creates a queue on this Redis with this clock.
pub fn queue(redis: &RedisServer, clock: Clock) -> RedisQueue {
    RedisQueue::new(RedisConfig::parse(&redis.url()).unwrap(), clock)
}

/// Creates jobs whose rows do not exist.
pub fn jobs_without_rows(count: usize) -> Vec<Job> {
    let jobs = std::iter::repeat_with(|| job(KeyId::generate(Clock::system().now()), 0));
    jobs.take(count).collect()
}
