//! The worker's side of a queue.

use std::sync::Arc;

use apalis::prelude::{WorkerContext, WorkerError};
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::store::Job;

/// Performs the jobs that a queue delivers.
#[async_trait]
pub trait JobHandler: Send + Sync + 'static {
    /// Performs one job. It cannot fail: the handler writes every outcome to the
    /// row, so the queue has nothing to retry.
    async fn handle(&self, job: Job);
}

/// A worker, as its queue sees it.
#[derive(Clone)]
pub struct Consumer {
    /// The name under which the worker registers. Each start needs a new one.
    pub name: String,
    /// The number of jobs that run at the same time.
    pub concurrency: usize,
    /// Performs the jobs.
    pub handler: Arc<dyn JobHandler>,
    /// The running jobs. They outlive a queue loop that dies: when Redis fails,
    /// that is no reason to drop a call to Svix.
    pub jobs: TaskTracker,
    /// Called at least every few seconds while the loop can fetch jobs.
    pub on_heartbeat: Arc<dyn Fn() + Send + Sync>,
    /// Cancelled when the worker shuts down.
    pub shutdown: CancellationToken,
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
