//! The queue of production: apalis-redis 1.0, with the guards it needs.
//!
//! apalis-redis 1.0.0 breaks in seven ways (docs/decisions/0002 has the
//! measurements). Its storage side is guarded here, its worker loop in
//! `worker/src/runner.rs`:
//!
//! | what happens out of the box | guard |
//! |---|---|
//! | 1. an idle worker stops fetching | `Tick` in the runner; and pushed jobs go to the active list at once ([`scripts::PROMOTE`]), whatever the clocks say |
//! | 2. some 8,000 due jobs wedge the queue for good | [`DEPTH_LIMIT`], and [`RedisQueue::shed`] should anything else fill it |
//! | 3. any Redis error ends the worker for good | the runner restarts it, with backoff |
//! | 4. a restart under the same name is refused | a fresh name each time; the old one is [retired](RedisQueue::retire) |
//! | 5. idempotency keys expire at once | not used: a job's id is its content, and the claim decides |
//! | 6. failed jobs are retried 25 times, whatever is asked | the handler never fails; retries are the row's |
//! | 7. finished jobs stay for ever | results are not kept, and each job is [settled](RedisQueue::settle) |

mod link;
mod scripts;

use std::time::Duration;

use apalis_core::backend::TaskSink;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::task_id::TaskId;
use apalis_redis::{Config, RedisStorage};
use async_trait::async_trait;
use futures_util::stream;
use redis::aio::ConnectionManager;
use redis::{AsyncCommands, RedisError, Script};

use self::link::Link;
use super::{DEPTH_LIMIT, Queue, QueueError};
use crate::clock::{Clock, Timestamp};
use crate::store::Job;

/// The queue's name, and so the beginning of its keys in Redis.
const NAME: &str = "partner-keys:provision";
/// Jobs pushed at a time; the depth is asked before each. Pushers that ask at
/// the same moment overshoot the limit by this much each, at most.
const CHUNK: usize = 100;
/// For how long a job that was sent is not sent again. Should Redis lose track
/// of it, it is repeated after this long at most.
const REDELIVER_AFTER: Duration = Duration::from_secs(10);
/// How often a worker says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// A worker not heard of for this long is dead: 30 s for clocks that differ,
/// and enough for a worker that was busy or frozen for a while.
const DEAD_AFTER: Duration = Duration::from_secs(90);
/// A depth that our own pushes cannot reach, well short of Lua's 8,000.
const SHED_ABOVE: usize = 4 * DEPTH_LIMIT;

impl From<RedisError> for QueueError {
    fn from(error: RedisError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// A worker that is known to Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveWorker {
    /// Its name: host, process and a random part.
    pub name: String,
    /// When it last said that it lives, by its own clock, to the second.
    pub last_heartbeat: Timestamp,
}

/// Jobs in Redis, in apalis-redis's layout.
#[derive(Clone)]
pub struct RedisQueue {
    link: Link,
    config: Config,
    clock: Clock,
}

impl RedisQueue {
    /// Prepares a connection; it is made when first needed, and made again
    /// whenever it was lost.
    pub fn new(client: redis::Client, clock: Clock) -> Result<Self, QueueError> {
        Ok(Self {
            link: Link::new(client)?,
            config: Config::default()
                .queue(NAME)
                .batch_size(16)
                .heartbeat_interval(HEARTBEAT)
                // Dead workers are ours to retire, never apalis's to rescue: its
                // rescue keeps keys for ever and unpacks without bound.
                .missed_heartbeats(20_000)
                .lock_tasks(false)
                .persist_results(false)
                .emit_events(false),
            clock,
        })
    }

    /// The storage from which a worker takes its jobs.
    pub fn storage(&self) -> RedisStorage<Job> {
        RedisStorage::new(self.link.connection()).with_config(self.config.clone())
    }

    /// Removes every trace of a job that a worker took, unless it was forgotten
    /// meanwhile: then what is there of it belongs to a newer copy.
    pub async fn settle(&self, worker: &str, task_id: &str) -> Result<(), QueueError> {
        let script = Script::new(scripts::SETTLE);
        let mut settle = script.key(self.inflight_set(worker));
        settle
            .key(self.config.job_data_hash())
            .key(format!("{}:{task_id}", self.config.job_meta_hash()))
            .arg(task_id);
        let settle = async |mut redis| settle.invoke_async(&mut redis).await;
        Ok(self.link.with(settle).await?)
    }

    /// Forgets a worker that has ended, with what it had fetched and not begun:
    /// those rows are still due, and the sweep sends them again.
    pub async fn retire(&self, worker: &str) -> Result<(), QueueError> {
        let script = Script::new(scripts::RETIRE);
        let mut retire = script.key(self.inflight_set(worker));
        retire
            .key(self.config.job_data_hash())
            .key(self.config.workers_set())
            .key(format!("{NAME}:workers:metadata:{worker}"))
            .arg(self.config.job_meta_hash())
            .arg(worker);
        let retire = async |mut redis| retire.invoke_async(&mut redis).await;
        Ok(self.link.with(retire).await?)
    }

    /// Retires the workers not heard of for long, killed ones for instance.
    /// How many there were.
    pub async fn retire_dead(&self) -> Result<usize, QueueError> {
        let last_sign = self.clock.now() - DEAD_AFTER;
        let mut dead = self.workers().await?;
        dead.retain(|worker| worker.last_heartbeat < last_sign);
        for worker in &dead {
            self.retire(&worker.name).await?;
        }
        Ok(dead.len())
    }

    /// The workers known to Redis, and when they were last heard of.
    pub async fn workers(&self) -> Result<Vec<LiveWorker>, QueueError> {
        let set = self.config.workers_set();
        let read = async |mut redis: ConnectionManager| redis.zrange_withscores(set, 0, -1).await;
        let workers: Vec<(String, i64)> = self.link.with(read).await?;
        let live = |(name, seconds)| LiveWorker {
            name,
            last_heartbeat: Timestamp::from_micros(seconds * 1_000_000),
        };
        Ok(workers.into_iter().map(live).collect())
    }

    /// Drops all waiting jobs if there are more than we could have sent, before
    /// their number wedges the queue. How many were dropped; the sweep sends
    /// again what is due.
    pub async fn shed(&self) -> Result<usize, QueueError> {
        let mut shed = 0;
        if self.depth().await? > SHED_ABOVE {
            let script = Script::new(scripts::SHED);
            let mut drop_some = script.key(self.config.active_jobs_list());
            drop_some
                .key(self.config.scheduled_jobs_set())
                .key(self.config.job_data_hash())
                .arg(self.config.job_meta_hash());
            loop {
                let drop_some = async |mut redis| drop_some.invoke_async(&mut redis).await;
                match self.link.with::<usize>(drop_some).await? {
                    0 => break,
                    dropped => shed += dropped,
                }
            }
        }
        Ok(shed)
    }

    /// The set in which apalis-redis keeps what a worker has fetched.
    fn inflight_set(&self, worker: &str) -> String {
        format!("{}:{worker}", self.config.inflight_jobs_set())
    }

    /// A job's id is its content, so that a second copy is not stored while the
    /// first is there; and the time, roughly, so that none is blocked for ever.
    fn task_id(&self, job: Job) -> TaskId {
        let period = REDELIVER_AFTER.as_micros();
        let epoch = i128::from(self.clock.now().as_micros()) / i128::try_from(period).unwrap_or(1);
        TaskId::from_string(format!("{}:{}:{epoch}", job.key_id, job.attempt))
    }
}

#[async_trait]
impl Queue for RedisQueue {
    async fn push(&self, jobs: &[Job]) -> Result<usize, QueueError> {
        let mut sent = 0;
        for chunk in jobs.chunks(CHUNK) {
            let room = DEPTH_LIMIT.saturating_sub(self.depth().await?);
            let chunk = &chunk[..chunk.len().min(room)];
            if chunk.is_empty() {
                break;
            }
            let tasks = chunk
                .iter()
                .map(|job| TaskBuilder::new(*job).task_id(self.task_id(*job)).build());
            self.storage()
                .push_all(&mut stream::iter(tasks.collect::<Vec<_>>()))
                .await
                .map_err(|error| QueueError::Unavailable(error.to_string()))?;
            sent += chunk.len();

            let script = Script::new(scripts::PROMOTE);
            let mut promote = script.key(self.config.scheduled_jobs_set());
            promote.key(self.config.active_jobs_list());
            let promote = async |mut redis| promote.invoke_async::<usize>(&mut redis).await;
            self.link.with(promote).await?;
        }
        Ok(sent)
    }

    async fn depth(&self) -> Result<usize, QueueError> {
        let mut pipeline = redis::pipe();
        pipeline
            .llen(self.config.active_jobs_list())
            .zcard(self.config.scheduled_jobs_set());
        let read = async |mut redis| pipeline.query_async(&mut redis).await;
        let (active, scheduled): (usize, usize) = self.link.with(read).await?;
        Ok(active + scheduled)
    }
}
