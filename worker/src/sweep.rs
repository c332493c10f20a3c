//! The sweep: whatever is due goes to the queue. It is what makes the queue a
//! hint: a nudge that was dropped, a Redis that lost everything, a worker that
//! died with a claim, all are found here, in the rows.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use shared::clock::Clock;
use shared::queue::{DEPTH_LIMIT, Queue, QueueError, RedisQueue};
use shared::store::{Store, StoreError};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use crate::liveness::Pulse;

/// How often each worker sweeps. Jittered, so that many do not sweep in step.
const INTERVAL: Duration = Duration::from_secs(1);
/// How soon again after a sweep that found more than the queue had room for.
const BUSY_INTERVAL: Duration = Duration::from_millis(100);
/// The queue is topped up once it is this empty. Not sooner: each top-up reads
/// the oldest due rows, of which those already queued are read in vain.
const LOW_WATER: usize = DEPTH_LIMIT / 2;

/// Why a sweep did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// Sends due rows to the queue.
pub struct Sweep {
    /// Where the rows are.
    pub store: Arc<dyn Store>,
    /// Where they go.
    pub queue: Arc<dyn Queue>,
    /// Redis, whose dead workers are retired along the way; none for the
    /// in-memory queue.
    pub redis: Option<RedisQueue>,
    /// The time.
    pub clock: Clock,
    /// Beats at each sweep that reached both.
    pub pulse: Pulse,
}

impl Sweep {
    /// Sweeps in the background until `shutdown`. The future ends only if the
    /// sweep dies, of a defect.
    pub fn spawn(self, shutdown: CancellationToken) -> impl Future<Output = JoinError> {
        let sweeping = tokio::spawn(self.run(shutdown));
        async {
            match sweeping.await {
                Ok(()) => std::future::pending().await,
                Err(died) => died,
            }
        }
    }

    /// Sweeps until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut failing = false;
        loop {
            let interval = match self.once().await {
                Ok(sent) => {
                    failing = false;
                    self.pulse.beat();
                    if sent < LOW_WATER {
                        INTERVAL
                    } else {
                        BUSY_INTERVAL
                    }
                }
                Err(error) => {
                    // Once an outage, not once a second.
                    if !failing {
                        tracing::warn!(%error, "the sweep failed; it will try again");
                    }
                    failing = true;
                    INTERVAL
                }
            };
            let pause = interval.mul_f64(rand::rng().random_range(0.75..1.25));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// One sweep. How many jobs were sent.
    pub async fn once(&self) -> Result<usize, SweepError> {
        if let Some(redis) = &self.redis {
            let dead = redis.retire_dead().await?;
            let shed = redis.shed().await?;
            if dead + shed > 0 {
                tracing::warn!(dead, shed, "retired dead workers, shed foreign jobs");
            }
        }
        let depth = self.queue.depth().await?;
        if depth > LOW_WATER {
            return Ok(0);
        }
        let room = i64::try_from(DEPTH_LIMIT - depth).unwrap_or(0);
        let due = self.store.due(self.clock.now(), room).await?;
        Ok(self.queue.push(&due).await?)
    }
}
