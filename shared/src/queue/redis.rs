//! The queue of production: apalis-redis 1.0, with the guards it needs.
//!
//! apalis-redis 1.0.0 breaks in seven ways (docs/decisions/0002 has the
//! measurements). Its storage side is guarded here, its worker loop in
//! `worker/src/runner.rs`:
//!
//! | what happens out of the box | guard |
//! |---|---|
//! | 1. an idle worker stops fetching | `Tick` in the runner; and pushed jobs go to the active list at once ([`PROMOTE`]), whatever the clocks say |
//! | 2. some 8,000 due jobs wedge the queue for good | [`DEPTH_LIMIT`], and [`RedisQueue::shed`] should anything else fill it |
//! | 3. any Redis error ends the worker for good | the runner restarts it, with backoff |
//! | 4. a restart under the same name is refused | a fresh name each time; the old one is [retired](RedisQueue::retire) |
//! | 5. idempotency keys expire at once | not used: a job's id is its content, and the claim decides |
//! | 6. failed jobs are retried 25 times, whatever is asked | the handler never fails; retries are the row's |
//! | 7. finished jobs stay for ever | results are not kept, and each job is [settled](RedisQueue::settle) |

use std::time::Duration;

use apalis_core::backend::TaskSink;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::task_id::TaskId;
use apalis_redis::{Config, RedisStorage};
use async_trait::async_trait;
use futures_util::stream;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands, RedisError, Script};

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

/// Moves what was pushed from the scheduled set to the active list. KEYS: both.
const PROMOTE: &str = "
    local ids = redis.call('zrange', KEYS[1], 0, 999)
    if #ids > 0 then
        redis.call('rpush', KEYS[2], unpack(ids))
        redis.call('zrem', KEYS[1], unpack(ids))
    end
    return #ids";

/// Forgets a worker and what it had fetched. KEYS: its inflight set, the data
/// hash, the workers, its metadata; ARGV: the prefix of job metadata, its name.
const RETIRE: &str = "
    for _, id in ipairs(redis.call('smembers', KEYS[1])) do
        redis.call('hdel', KEYS[2], id)
        redis.call('del', ARGV[1] .. ':' .. id)
    end
    redis.call('del', KEYS[1], KEYS[4])
    redis.call('zrem', KEYS[3], ARGV[2])";

/// Drops up to 1,000 waiting jobs. KEYS: active list, scheduled set, data hash;
/// ARGV: the prefix of job metadata.
const SHED: &str = "
    local ids = redis.call('lpop', KEYS[1], 1000) or {}
    if #ids == 0 then
        for i, v in ipairs(redis.call('zpopmin', KEYS[2], 1000)) do
            if i % 2 == 1 then ids[#ids + 1] = v end
        end
    end
    for _, id in ipairs(ids) do
        redis.call('hdel', KEYS[3], id)
        redis.call('del', ARGV[1] .. ':' .. id)
    end
    return #ids";

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
    connection: ConnectionManager,
    config: Config,
    clock: Clock,
}

impl RedisQueue {
    /// Prepares a connection; it is made when first needed, and made again
    /// whenever it was lost.
    pub fn new(client: redis::Client, clock: Clock) -> Result<Self, QueueError> {
        let connection = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(2)))
            .set_response_timeout(Some(Duration::from_secs(2)))
            .set_number_of_retries(1)
            .set_max_delay(Duration::from_millis(500));
        Ok(Self {
            connection: ConnectionManager::new_lazy_with_config(client, connection)?,
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
        RedisStorage::new(self.connection.clone()).with_config(self.config.clone())
    }

    /// Removes every trace of a job that a worker took.
    pub async fn settle(&self, worker: &str, task_id: &str) -> Result<(), QueueError> {
        let mut pipeline = redis::pipe();
        pipeline
            .srem(self.inflight_set(worker), task_id)
            .ignore()
            .hdel(self.config.job_data_hash(), task_id)
            .ignore()
            .del(format!("{}:{task_id}", self.config.job_meta_hash()))
            .ignore();
        let mut connection = self.connection.clone();
        Ok(pipeline.query_async(&mut connection).await?)
    }

    /// Forgets a worker that has ended, with what it had fetched and not begun:
    /// those rows are still due, and the sweep sends them again.
    pub async fn retire(&self, worker: &str) -> Result<(), QueueError> {
        let mut connection = self.connection.clone();
        Script::new(RETIRE)
            .key(self.inflight_set(worker))
            .key(self.config.job_data_hash())
            .key(self.config.workers_set())
            .key(format!("{NAME}:workers:metadata:{worker}"))
            .arg(self.config.job_meta_hash())
            .arg(worker)
            .invoke_async::<()>(&mut connection)
            .await?;
        Ok(())
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
        let mut connection = self.connection.clone();
        let workers: Vec<(String, i64)> = connection
            .zrange_withscores(self.config.workers_set(), 0, -1)
            .await?;
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
            let mut connection = self.connection.clone();
            loop {
                let dropped: usize = Script::new(SHED)
                    .key(self.config.active_jobs_list())
                    .key(self.config.scheduled_jobs_set())
                    .key(self.config.job_data_hash())
                    .arg(self.config.job_meta_hash())
                    .invoke_async(&mut connection)
                    .await?;
                shed += dropped;
                if dropped == 0 {
                    break;
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
        TaskId::from_string(format!("{}:{}:{epoch}", job.partner_id, job.attempt))
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

            let mut connection = self.connection.clone();
            Script::new(PROMOTE)
                .key(self.config.scheduled_jobs_set())
                .key(self.config.active_jobs_list())
                .invoke_async::<usize>(&mut connection)
                .await?;
        }
        Ok(sent)
    }

    async fn depth(&self) -> Result<usize, QueueError> {
        let mut connection = self.connection.clone();
        let (active, scheduled): (usize, usize) = redis::pipe()
            .llen(self.config.active_jobs_list())
            .zcard(self.config.scheduled_jobs_set())
            .query_async(&mut connection)
            .await?;
        Ok(active + scheduled)
    }
}
