//! The worker's side of a queue.

use std::sync::Arc;

use apalis::prelude::{WorkerContext, WorkerError};
use async_trait::async_trait;
use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::store::Job;

/// The rest of a job, which writes its outcome. The next job need not wait for it.
pub type Rest = BoxFuture<'static, ()>;

/// Performs the jobs that a queue delivers.
#[async_trait]
pub trait JobHandler: Send + Sync + 'static {
    /// Performs one job, and returns what is left: writing the outcome to the row. It cannot
    /// fail: the row says what is to be done next, so the queue has nothing to retry.
    async fn handle(&self, job: Job) -> Rest;
}

/// A worker, as its queue sees it.
#[derive(Clone)]
pub struct Consumer {
    /// The name under which the worker registers. Each start needs a new one.
    pub name: String,
    /// The number of attempts that are made at the same time.
    pub concurrency: usize,
    /// Performs the jobs.
    pub handler: Arc<dyn JobHandler>,
    /// The running jobs. They outlive a queue loop that dies: when Redis fails,
    /// that is no reason to drop a call to Svix.
    pub jobs: TaskTracker,
    /// The room for outcomes that are written after their jobs have given up their places. It
    /// outlives a queue loop too.
    pub outcomes: Arc<Semaphore>,
    /// Called at least every few seconds while the loop can fetch jobs.
    pub on_heartbeat: Arc<dyn Fn() + Send + Sync>,
    /// Cancelled when the worker shuts down.
    pub shutdown: CancellationToken,
}

/// Runs jobs in tasks of their own.
#[derive(Clone)]
pub(super) struct Runner {
    handler: Arc<dyn JobHandler>,
    jobs: TaskTracker,
    outcomes: Arc<Semaphore>,
}

impl Runner {
    pub(super) fn of(consumer: &Consumer) -> Self {
        Self {
            handler: Arc::clone(&consumer.handler),
            jobs: consumer.jobs.clone(),
            outcomes: Arc::clone(&consumer.outcomes),
        }
    }

    /// Starts a job, and then `afterwards`. Returns a future that ends when the job no longer
    /// needs its place: the next job need not wait until the outcome is on disk.
    pub(super) fn start<F>(&self, job: Job, afterwards: F) -> impl Future<Output = ()> + use<F>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (handler, outcomes) = (Arc::clone(&self.handler), Arc::clone(&self.outcomes));
        let (place, is_free) = oneshot::channel::<()>();
        self.jobs.spawn(async move {
            let rest = handler.handle(job).await;
            finish(rest, place, &outcomes).await;
            afterwards.await;
        });
        // Dropping the place ends this wait, also after a panic.
        async move { drop(is_free.await) }
    }
}

/// Finishes a job. It gives up its place once there is room for its outcome. Where there is none,
/// because the database is slow, it keeps its place until the outcome is written.
async fn finish(mut rest: Rest, place: oneshot::Sender<()>, outcomes: &Semaphore) {
    tokio::select! {
        _room = outcomes.acquire() => {
            drop(place);
            rest.await;
        }
        () = &mut rest => {}
    }
}

/// The reason why a queue loop ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum LoopError {
    /// The loop died and can be started again, under a new name.
    #[error("{0}")]
    Died(String),
    /// The queue is lost, and another loop on it cannot work.
    #[error("{0}")]
    Ended(String),
}

/// An apalis worker loop that runs in a task of its own. Dropping it aborts the loop.
pub(super) struct RunningLoop {
    context: WorkerContext,
    task: AbortOnDropHandle<Result<(), WorkerError>>,
}

impl RunningLoop {
    /// Runs the future of the worker that belongs to `context`.
    pub(super) fn spawn(
        context: WorkerContext,
        worker: impl Future<Output = Result<(), WorkerError>> + Send + 'static,
    ) -> Self {
        let task = AbortOnDropHandle::new(tokio::spawn(worker));
        Self { context, task }
    }

    /// Waits until the loop ends. Once `shutdown` is cancelled, tells it to fetch no
    /// more jobs. The error is the reason why the loop ended.
    pub(super) async fn until(self, shutdown: CancellationToken) -> Result<(), String> {
        let Self { context, mut task } = self;
        let ended = tokio::select! {
            ended = &mut task => ended,
            () = shutdown.cancelled() => {
                if let Err(error) = context.stop() {
                    tracing::debug!(%error, "the queue loop was stopped before it had started");
                }
                task.await
            }
        };
        match ended {
            Ok(ended) => ended.map_err(|error| error.to_string()),
            Err(panicked) => Err(panicked.to_string()),
        }
    }
}
