//! A whole worker: the sweep that sends due rows to the queue, and the queue loop
//! that runs their jobs.

use std::sync::Arc;
use std::time::Duration;

use shared::clock::Clock;
use shared::queue::Queue;
use shared::store::Store;
use shared::svix::SvixConfig;
use tokio_util::sync::CancellationToken;

use crate::job::JobRunner;
use crate::liveness::Liveness;
use crate::queue_loop::{QueueLoop, QueueLoopError};
use crate::sweep::Sweep;

/// The time that running jobs get once the worker shuts down. It is a little less
/// than the 25 s that an orchestrator should give the worker.
const DRAIN: Duration = Duration::from_secs(23);

/// The reason why a worker stopped although it was not told to.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The queue loop could not go on.
    #[error(transparent)]
    QueueLoop(#[from] QueueLoopError),
    /// The sweep panicked, which is a defect.
    #[error("the sweep died: {0}")]
    Sweep(tokio::task::JoinError),
}

/// A worker that does the work of all rows.
pub struct Worker {
    sweep: Sweep,
    queue_loop: QueueLoop,
    liveness: Liveness,
}

impl Worker {
    /// Creates a worker that makes at most `concurrency` attempts at the same time. It
    /// starts to count the seconds since its last sign of life, so it should be
    /// run at once.
    pub fn new(
        store: Arc<dyn Store>,
        queue: Arc<dyn Queue>,
        svix: &SvixConfig,
        clock: Clock,
        concurrency: usize,
    ) -> Self {
        let liveness = Liveness::watch();
        let runner = JobRunner::new(Arc::clone(&store), svix, clock.clone());
        Self {
            queue_loop: QueueLoop::new(
                Arc::clone(&queue),
                Arc::new(runner),
                concurrency,
                liveness.clone(),
            ),
            sweep: Sweep {
                store,
                queue,
                clock,
                pulse: liveness.sweep.clone(),
            },
            liveness,
        }
    }

    /// Returns the worker's signs of life, for a health check.
    pub fn liveness(&self) -> Liveness {
        self.liveness.clone()
    }

    /// Works until `shutdown` is cancelled, then lets running jobs finish. A job
    /// that takes too long is left: its lease runs out, and another attempt follows.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), WorkerError> {
        let sweep = tokio::spawn(self.sweep.run(shutdown.clone()));
        let sweep_died = async {
            match sweep.await {
                Ok(()) => std::future::pending().await, // it ends at shutdown
                Err(died) => died,
            }
        };
        let out_of_time = async {
            shutdown.cancelled().await;
            tokio::time::sleep(DRAIN).await;
        };
        tokio::select! {
            ended = self.queue_loop.run(shutdown.clone()) => Ok(ended?),
            died = sweep_died => Err(WorkerError::Sweep(died)),
            () = out_of_time => {
                tracing::warn!("running jobs were left to the end of their leases");
                Ok(())
            }
        }
    }
}
