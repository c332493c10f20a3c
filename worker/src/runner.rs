//! Feeds jobs from the queue to the [`Provisioner`], by apalis.
//!
//! The guards of the storage side, and the table of what they guard against, are
//! in `shared/src/queue/redis/`; here are those of the worker loop.

use std::sync::Arc;
use std::time::Duration;

use apalis::prelude::{
    EventListenerExt, MemoryStorage, TaskId, WorkerBuilder, WorkerBuilderExt, WorkerContext,
    WorkerError,
};
use apalis_core::backend::ext::BackendExt;
use apalis_core::worker::event::Event;
use rand::RngExt;
use shared::queue::RedisQueue;
use shared::runtime::process_name;
use shared::store::Job;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::liveness::{Liveness, PATIENCE};
use crate::provision_webhook::Provisioner;
use crate::tick::Tick;

/// How often an idle worker looks for jobs.
const TICK: Duration = Duration::from_millis(20);
/// The first pause before the loop is restarted; doubled for each restart that
/// did not help.
const RESTART_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause before a restart.
const RESTART_PAUSE_CAP: Duration = Duration::from_secs(2);

/// The loop has been dead for too long.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// It could not be brought back.
    #[error("the queue loop has been dead for {} s", PATIENCE.as_secs())]
    Dead,
    /// The in-memory queue's loop, which nothing can bring back, has ended.
    #[error("the queue loop has ended: {0}")]
    Ended(String),
}

/// Runs jobs from the queue, so many at once, until told to stop.
pub struct Runner {
    provisioner: Provisioner,
    concurrency: usize,
    /// Jobs under way. They outlive a loop that dies: Redis failing is no reason
    /// to drop a call to Svix.
    jobs: TaskTracker,
    liveness: Liveness,
}

impl Runner {
    /// A runner that works on `concurrency` jobs at once.
    pub fn new(provisioner: Provisioner, concurrency: usize, liveness: Liveness) -> Self {
        let jobs = TaskTracker::new();
        Self {
            provisioner,
            concurrency,
            jobs,
            liveness,
        }
    }

    /// Takes jobs from Redis, and restarts the loop whenever it dies, under a new
    /// name each time. Returns once `shutdown` is cancelled and the jobs under way
    /// are done; or with an error, once the loop stays dead.
    pub async fn run_redis(
        self,
        queue: &RedisQueue,
        shutdown: CancellationToken,
    ) -> Result<(), RunnerError> {
        let mut pause = RESTART_PAUSE;
        while !shutdown.is_cancelled() {
            let name = process_name();
            let started = Instant::now();
            let ended = self.run_redis_loop(&name, queue, &shutdown).await;

            // What it had fetched and not begun is still due, and is sent again.
            let retired = queue.retire(&name).await;
            let Err(error) = ended else { break };
            tracing::warn!(worker = name, %error, retired = retired.is_ok(), "the queue loop died");
            if !self.liveness.queue_loop.is_alive() {
                return Err(RunnerError::Dead);
            }
            if started.elapsed() > RESTART_PAUSE_CAP * 5 {
                pause = RESTART_PAUSE;
            }
            let jittered = pause.mul_f64(rand::rng().random_range(0.5..1.0));
            pause = (pause * 2).min(RESTART_PAUSE_CAP);
            tokio::select! {
                () = tokio::time::sleep(jittered) => {}
                () = shutdown.cancelled() => {}
            }
        }
        self.finish_jobs().await;
        Ok(())
    }

    async fn run_redis_loop(
        &self,
        name: &str,
        queue: &RedisQueue,
        shutdown: &CancellationToken,
    ) -> Result<(), WorkerError> {
        let (liveness, jobs) = (self.liveness.clone(), self.jobs.clone());
        let (provisioner, settling) = (self.provisioner.clone(), queue.clone());
        let worker_name: Arc<str> = name.into();
        let context = WorkerContext::new(name);

        let worker = WorkerBuilder::new(&context)
            .backend(queue.storage().poll_with_strategy(Tick::every(TICK)))
            .concurrency(self.concurrency)
            .on_event(move |_, event| {
                if matches!(event, Event::HeartBeat) {
                    liveness.queue_loop.beat();
                }
            })
            .build(move |job: Job, id: TaskId| {
                let (provisioner, queue) = (provisioner.clone(), settling.clone());
                let worker = Arc::clone(&worker_name);
                let work = jobs.spawn(async move {
                    provisioner.run(job).await;
                    if let Err(error) = queue.settle(&worker, &id.to_string()).await {
                        tracing::debug!(%error, "not settled; goes when its worker is retired");
                    }
                });
                async move { drop(work.await) }
            });

        let watchdog = async {
            while self.liveness.queue_loop.is_alive() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let running = worker.run();
        tokio::pin!(running);
        tokio::select! {
            ended = &mut running => ended,
            () = watchdog => Err(WorkerError::BackendError("no sign of life".into())),
            () = shutdown.cancelled() => {
                stop(&context);
                running.await
            }
        }
    }

    /// Takes jobs from memory until `shutdown`, and finishes those under way.
    pub async fn run_memory(
        self,
        storage: MemoryStorage<Job>,
        shutdown: CancellationToken,
    ) -> Result<(), RunnerError> {
        let (provisioner, jobs) = (self.provisioner.clone(), self.jobs.clone());
        let context = WorkerContext::new(&process_name());
        let worker = WorkerBuilder::new(&context)
            .backend(storage)
            .concurrency(self.concurrency)
            .build(move |job: Job| {
                let provisioner = provisioner.clone();
                let work = jobs.spawn(async move { provisioner.run(job).await });
                async move { drop(work.await) }
            });

        let running = worker.run();
        tokio::pin!(running);
        let ended = tokio::select! {
            ended = &mut running => {
                let reason = ended.err().map_or_else(|| "stopped".into(), |e| e.to_string());
                return Err(RunnerError::Ended(reason));
            }
            () = shutdown.cancelled() => {
                stop(&context);
                running.await
            }
        };
        if let Err(error) = ended {
            tracing::warn!(%error, "the queue loop ended badly");
        }
        self.finish_jobs().await;
        Ok(())
    }

    /// Waits for the jobs under way; each is bounded by its own timeouts.
    async fn finish_jobs(&self) {
        self.jobs.close();
        self.jobs.wait().await;
    }
}

fn stop(context: &WorkerContext) {
    if let Err(error) = context.stop() {
        tracing::debug!(%error, "stopped before it had started");
    }
}
