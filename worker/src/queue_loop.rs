//! Takes jobs from the queue and runs them, until the worker shuts down.
//!
//! A queue loop can die, for instance when Redis restarts. This file starts it
//! again. The other guards around apalis are in `shared/src/queue/redis/`.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use shared::metrics;
use shared::queue::{Consumer, JobHandler, LoopError, Queue};
use shared::runtime::process_name;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::liveness::{Liveness, PATIENCE};

/// The longest pause before the first restart of the loop. It doubles with each
/// restart that does not help.
const RESTART_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause before any restart.
const RESTART_PAUSE_CAP: Duration = Duration::from_secs(2);
/// The time for which a loop must run before the pause starts at
/// [`RESTART_PAUSE`] again.
const RECOVERED_AFTER: Duration = Duration::from_secs(10);

/// The reason why the queue loop could not go on.
#[derive(Debug, thiserror::Error)]
pub enum QueueLoopError {
    /// Restarts did not bring the loop back in time.
    #[error("the queue loop has been dead for {} s", PATIENCE.as_secs())]
    Dead,
    /// The queue is lost, so a restart cannot help.
    #[error("the queue loop has ended: {0}")]
    Ended(String),
}

/// Feeds the jobs of a queue to a handler, a limited number at a time.
pub struct QueueLoop {
    queue: Arc<dyn Queue>,
    handler: Arc<dyn JobHandler>,
    concurrency: usize,
    liveness: Liveness,
    jobs: TaskTracker,
    outcomes: Arc<Semaphore>,
}

impl QueueLoop {
    /// Creates a loop that makes at most `concurrency` attempts at the same time.
    pub fn new(
        queue: Arc<dyn Queue>,
        handler: Arc<dyn JobHandler>,
        concurrency: usize,
        liveness: Liveness,
    ) -> Self {
        Self {
            queue,
            handler,
            concurrency,
            liveness,
            jobs: TaskTracker::new(),
            outcomes: Arc::new(Semaphore::new(concurrency)),
        }
    }

    /// Runs jobs until `shutdown` is cancelled and the running ones are done.
    /// Whenever the loop dies, it is restarted under a new name. Returns an error
    /// if the loop stays dead.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), QueueLoopError> {
        let mut longest_pause = RESTART_PAUSE;
        while !shutdown.is_cancelled() {
            let name = process_name();
            let started = Instant::now();
            let ended = self.consume(&name, &shutdown).await;

            let retired = self.queue.retire(&name).await;
            match ended {
                Ok(()) => break,
                Err(LoopError::Ended(reason)) => return Err(QueueLoopError::Ended(reason)),
                Err(LoopError::Died(error)) => {
                    let retired = retired.is_ok();
                    metrics::QUEUE_LOOP_RESTARTS.inc();
                    tracing::warn!(worker = name, error, retired, "the queue loop died");
                }
            }
            if !self.liveness.queue_loop.is_alive() {
                return Err(QueueLoopError::Dead);
            }
            if started.elapsed() > RECOVERED_AFTER {
                longest_pause = RESTART_PAUSE;
            }
            let pause = longest_pause.mul_f64(rand::rng().random_range(0.5..1.0));
            longest_pause = (longest_pause * 2).min(RESTART_PAUSE_CAP);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.cancelled() => {}
            }
        }
        // Each job is bounded by its own timeouts.
        self.jobs.close();
        self.jobs.wait().await;
        Ok(())
    }

    /// Runs the loop once, until it ends or shows no sign of life for too long.
    async fn consume(&self, name: &str, shutdown: &CancellationToken) -> Result<(), LoopError> {
        let liveness = self.liveness.clone();
        let consumer = Consumer {
            name: name.to_owned(),
            concurrency: self.concurrency,
            handler: Arc::clone(&self.handler),
            jobs: self.jobs.clone(),
            outcomes: Arc::clone(&self.outcomes),
            on_heartbeat: Arc::new(move || liveness.queue_loop.beat()),
            shutdown: shutdown.clone(),
        };
        let silent = async {
            while self.liveness.queue_loop.is_alive() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::select! {
            ended = self.queue.consume(consumer) => ended,
            () = silent => Err(LoopError::Died("no sign of life".into())),
        }
    }
}
