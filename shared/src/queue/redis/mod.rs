//! The queue of production: apalis-redis 1.0, with the guards that it needs.
//!
//! apalis-redis 1.0.0 breaks in eight ways (docs/decisions/0002 has the
//! measurements). The guards are in this folder, except for the restart of the
//! loop, which is in `worker/src/queue_loop.rs`:
//!
//! | what happens without a guard | guard |
//! |---|---|
//! | 1. an idle worker stops fetching | [`WakeStrategy`](wake::WakeStrategy); pushed jobs also go to the active list at once ([`scripts::PROMOTE`]), so clocks do not matter |
//! | 2. some 8,000 due jobs block the queue forever | [`DEPTH_LIMIT`], and [`RedisQueue::shed`] if another program fills the queue |
//! | 3. any Redis error ends the worker forever | the worker restarts the loop, with backoff |
//! | 4. a restart under the same name is refused | each start has a new name, and the old one is [retired](Queue::retire) |
//! | 5. idempotency keys expire at once | not used: a job's id is its content, and the claim decides |
//! | 6. failed jobs are retried 25 times, whatever is configured | the handler never fails; the row decides about retries |
//! | 7. finished jobs stay forever | results are not kept, and each job is [settled](RedisQueue::settle) |
//! | 8. a set that all programs with apalis share is written | [`ApalisLink`] registers the workers |

mod consume;
mod fleet;
mod link;
mod primary;
mod registration;
mod scripts;
mod settlements;
mod wake;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use apalis_core::backend::TaskSink;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::task_id::TaskId;
use apalis_redis::{Config, RedisStorage};
use async_trait::async_trait;
use futures_util::{future::join, stream};
use redis::{AsyncCommands, RedisError, Script};

use self::fleet::Fleet;
use self::link::Link;
pub(crate) use self::primary::primary as find_primary;
use self::registration::ApalisLink;
use self::settlements::{Settlement, Settlements};
use self::wake::Wake;
use super::{Consumer, DEPTH_LIMIT, LoopError, Queue, QueueError};
use crate::clock::{Clock, Timestamp};
use crate::coalesce::Coalescer;
use crate::config::RedisConfig;
use crate::store::Job;

/// The number of jobs that a worker fetches together. What it has fetched, no other worker
/// can begin.
const BATCH: usize = 16;
/// The number of jobs that are pushed together. A pusher remembers the depth after its last
/// push, and asks Redis only if that leaves no room for the next one. Others may have pushed
/// since, so each pusher exceeds the limit by at most this many.
const CHUNK: usize = 100;
/// The time during which a job that was sent is not sent again. If Redis loses the
/// job, the sweep sends it again after at most this long.
const REDELIVER_AFTER: Duration = Duration::from_secs(10);
/// The time between two heartbeats of a worker.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// The time without a heartbeat after which a worker counts as dead: 30 s for
/// clocks that differ, and a minute for a worker that was busy or frozen.
const DEAD_AFTER: Duration = Duration::from_secs(90);
/// The number of workers that are read, far above that of any deployment.
const MAX_WORKERS: isize = 10_000;
/// A depth that thirty pushers cannot reach, well below Lua's limit of 8,000. If more do, the
/// sweep sends the jobs again that were dropped.
const SHED_ABOVE: usize = 4 * DEPTH_LIMIT;

impl From<RedisError> for QueueError {
    fn from(error: RedisError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// Returns the queue's name, with which all its keys and channels begin. The hash tag puts
/// them into one slot of a cluster, and those of different prefixes into different ones.
pub(crate) fn queue_name(prefix: &str) -> String {
    format!("{prefix}:{{{prefix}}}")
}

/// A worker that is known to Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveWorker {
    /// The name: host, process id and a random part.
    pub name: String,
    /// The time of its last heartbeat, by its own clock, in whole seconds.
    pub last_heartbeat: Timestamp,
}

/// Jobs in Redis, in apalis-redis's layout.
#[derive(Clone)]
pub struct RedisQueue {
    link: Link,
    config: Config,
    /// The channel on which pushed jobs wake the workers.
    wake: String,
    clock: Clock,
    settlements: Coalescer<Settlements>,
    fleet: Fleet,
    /// The depth after our last push; [`DEPTH_LIMIT`] while it is not known.
    last_depth: Arc<AtomicUsize>,
}

impl RedisQueue {
    /// Prepares a connection. It is opened when it is first needed, and opened again
    /// whenever it is lost. Call it within a runtime, on which the task runs that settles
    /// jobs.
    #[must_use]
    pub fn new(redis: RedisConfig, clock: Clock) -> Self {
        let name = queue_name(&redis.prefix);
        let config = Config::default()
            .queue(&name)
            .batch_size(BATCH)
            .heartbeat_interval(HEARTBEAT)
            // `maintain` retires dead workers. apalis's own rescue keeps keys
            // forever and unpacks without bound, so it must never run.
            .missed_heartbeats(20_000)
            .lock_tasks(false)
            .persist_results(false)
            .emit_events(false);
        let link = Link::new(redis.servers, &config.workers_set());
        Self {
            settlements: Coalescer::start(Settlements {
                link: link.clone(),
                data_hash: config.job_data_hash(),
            }),
            link,
            config,
            wake: format!("{name}:wake"),
            clock,
            fleet: Fleet::default(),
            last_depth: Arc::new(AtomicUsize::new(DEPTH_LIMIT)),
        }
    }

    /// Returns the storage from which a worker takes its jobs.
    pub fn storage(&self) -> RedisStorage<Job, ApalisLink> {
        let link = ApalisLink::new(self.link.clone(), &self.config.workers_set());
        RedisStorage::new(link).with_config(self.config.clone())
    }

    /// Removes every trace of a job that a worker took. If Redis has lost the job
    /// meanwhile, it does nothing: what is there belongs to a newer copy of the job.
    pub async fn settle(&self, worker: &str, task_id: &str) -> Result<(), QueueError> {
        let job = Settlement {
            inflight_set: self.inflight_set(worker),
            metadata: format!("{}:{task_id}", self.config.job_meta_hash()),
            task_id: task_id.to_owned(),
        };
        self.settlements.ask(job).await
    }

    /// Retires the workers that have sent no heartbeat for 90 s, for instance because
    /// they were killed, and those whose heartbeat no clock of ours can have sent. Returns
    /// how many there were. The others share the periodic work.
    pub async fn retire_dead(&self) -> Result<usize, QueueError> {
        let now = self.clock.now();
        let possible = now - DEAD_AFTER..=now + DEAD_AFTER;
        let (live, dead): (Vec<_>, Vec<_>) = (self.workers().await?.into_iter())
            .partition(|worker| possible.contains(&worker.last_heartbeat));
        self.fleet.set(live.len());
        for worker in &dead {
            self.retire(&worker.name).await?;
        }
        Ok(dead.len())
    }

    /// Returns the workers that Redis knows, at most [`MAX_WORKERS`], with the time of
    /// their last heartbeat. Others can write to Redis, so a time may be anything, and
    /// names that are no text are left out.
    pub async fn workers(&self) -> Result<Vec<LiveWorker>, QueueError> {
        let (set, last) = (self.config.workers_set(), MAX_WORKERS - 1);
        let workers: Vec<(Vec<u8>, f64)> = self.redis().zrange_withscores(set, 0, last).await?;
        let live = |(name, seconds): (Vec<u8>, f64)| {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the cast saturates, and no heartbeat is near the limits"
            )]
            let micros = (seconds * 1e6) as i64;
            Some(LiveWorker {
                name: String::from_utf8(name).ok()?,
                last_heartbeat: Timestamp::from_micros(micros),
            })
        };
        Ok(workers.into_iter().filter_map(live).collect())
    }

    /// Deletes those of our keys that have another type than ours. Every command on them
    /// would fail.
    async fn delete_foreign_keys(&self) -> Result<(), QueueError> {
        let keys = [
            (self.config.active_jobs_list(), "list"),
            (self.config.scheduled_jobs_set(), "zset"),
            (self.config.job_data_hash(), "hash"),
            (self.config.workers_set(), "zset"),
        ];
        let mut types = redis::pipe();
        for (key, _) in &keys {
            types.cmd("TYPE").arg(key);
        }
        let types: Vec<String> = types.query_async(&mut self.redis()).await?;
        for ((key, ours), found) in keys.into_iter().zip(types) {
            if found != ours && found != "none" {
                tracing::error!(
                    key,
                    found,
                    ours,
                    "deleted a key of the queue, of a foreign type"
                );
                let () = self.redis().del(&key).await?;
            }
        }
        Ok(())
    }

    /// Returns the result of work on the queue. If it failed, it looks for keys that are
    /// not ours, so that the next try may succeed.
    async fn or_repair<T>(&self, result: Result<T, QueueError>) -> Result<T, QueueError> {
        if result.is_err() {
            self.delete_foreign_keys().await?;
        }
        result
    }

    /// Drops all waiting jobs if there are more than we could have sent, before
    /// their number blocks the queue. Returns how many were dropped. The sweep sends
    /// what is due again.
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
                match drop_some.invoke_async::<usize>(&mut self.redis()).await? {
                    0 => break,
                    dropped => shed += dropped,
                }
            }
        }
        Ok(shed)
    }

    /// Returns the connection.
    fn redis(&self) -> Link {
        self.link.clone()
    }

    /// Returns the key of the set of jobs that a worker has fetched.
    fn inflight_set(&self, worker: &str) -> String {
        format!("{}:{worker}", self.config.inflight_jobs_set())
    }

    /// Returns the id of a job. It contains the job's content, so that a second copy
    /// is not stored while the first is there, and the time in steps of
    /// [`REDELIVER_AFTER`], so that a lost job does not block its successors forever.
    fn task_id(&self, job: Job) -> TaskId {
        let period = REDELIVER_AFTER.as_micros();
        let epoch = i128::from(self.clock.now().as_micros()) / i128::try_from(period).unwrap_or(1);
        TaskId::from_string(format!("{}:{}:{epoch}", job.key_id, job.attempt))
    }
}

/// The state of the queue after [`RedisQueue::promote`].
struct Promoted {
    /// How many of the given jobs are in Redis. They can be fetched now, or were fetched already.
    found: usize,
    /// The number of jobs that wait.
    depth: usize,
}

impl RedisQueue {
    async fn push_all(&self, jobs: &[Job]) -> Result<usize, QueueError> {
        let mut sent = 0;
        for chunk in jobs.chunks(CHUNK) {
            // Unless this push succeeds, the next one asks.
            let mut depth = self.last_depth.swap(DEPTH_LIMIT, Ordering::Relaxed);
            if depth + chunk.len() > DEPTH_LIMIT {
                depth = self.depth().await?;
            }
            let room = DEPTH_LIMIT.saturating_sub(depth);
            let chunk = &chunk[..chunk.len().min(room)];
            if chunk.is_empty() {
                break;
            }
            let ids: Vec<TaskId> = chunk.iter().map(|job| self.task_id(*job)).collect();
            let task =
                |(job, id): (&Job, &TaskId)| TaskBuilder::new(*job).task_id(id.clone()).build();
            let tasks: Vec<_> = chunk.iter().zip(&ids).map(task).collect();

            // Both are sent at once. The push is first, unless Redis does not know its script yet.
            let (mut storage, mut tasks) = (self.storage(), stream::iter(tasks));
            let pushing = storage.push_all(&mut tasks);
            let (pushed, promoted) = join(pushing, self.promote(&ids)).await;
            pushed.map_err(|error| QueueError::Unavailable(error.to_string()))?;
            sent += chunk.len();
            let mut promoted = promoted?;
            if promoted.found < chunk.len() {
                promoted = self.promote(&ids).await?;
            }
            self.last_depth.store(promoted.depth, Ordering::Relaxed);
        }
        Ok(sent)
    }

    /// Makes pushed jobs ready to be fetched, wakes the workers, and looks for the jobs with these
    /// ids.
    async fn promote(&self, ids: &[TaskId]) -> Result<Promoted, QueueError> {
        let script = Script::new(scripts::PROMOTE);
        let mut promote = script.key(self.config.scheduled_jobs_set());
        promote
            .key(self.config.active_jobs_list())
            .key(self.config.job_data_hash())
            .arg(&self.wake);
        for id in ids {
            promote.arg(id.to_string());
        }
        let (found, depth) = promote.invoke_async(&mut self.redis()).await?;
        Ok(Promoted { found, depth })
    }

    async fn retire_and_shed(&self) -> Result<(), QueueError> {
        let dead = self.retire_dead().await?;
        let shed = self.shed().await?;
        if dead + shed > 0 {
            tracing::warn!(dead, shed, "retired dead workers and dropped foreign jobs");
        }
        Ok(())
    }
}

#[async_trait]
impl Queue for RedisQueue {
    async fn push(&self, jobs: &[Job]) -> Result<usize, QueueError> {
        let pushed = self.push_all(jobs).await;
        self.or_repair(pushed).await
    }

    async fn depth(&self) -> Result<usize, QueueError> {
        let mut pipeline = redis::pipe();
        pipeline
            .llen(self.config.active_jobs_list())
            .zcard(self.config.scheduled_jobs_set());
        let (active, scheduled): (usize, usize) = pipeline.query_async(&mut self.redis()).await?;
        Ok(active + scheduled)
    }

    async fn consume(&self, consumer: Consumer) -> Result<(), LoopError> {
        let shutdown = consumer.shutdown.clone();
        let wake = Arc::new(Wake::default());
        let running = consume::start(self.clone(), consumer, Arc::clone(&wake));
        tokio::select! {
            ended = running.until(shutdown) => ended.map_err(LoopError::Died),
            () = wake.listen(&self.link, &self.wake) => unreachable!("it listens forever"),
        }
    }

    async fn retire(&self, worker: &str) -> Result<(), QueueError> {
        let script = Script::new(scripts::RETIRE);
        let mut retire = script.key(self.inflight_set(worker));
        retire
            .key(self.config.job_data_hash())
            .key(self.config.workers_set())
            .arg(self.config.job_meta_hash())
            .arg(worker);
        Ok(retire.invoke_async(&mut self.redis()).await?)
    }

    fn share_of(&self, of_all: Duration) -> Duration {
        self.fleet.share_of(of_all)
    }

    async fn maintain(&self) -> Result<(), QueueError> {
        let maintained = self.retire_and_shed().await;
        self.or_repair(maintained).await
    }
}
