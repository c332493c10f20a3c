//! The sweep: sends every due row to the queue. It is the reason why the queue may
//! lose anything. A nudge that was dropped, a Redis that lost its data, and a
//! worker that died during an attempt all leave a row that is due.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use shared::clock::{Clock, Timestamp};
use shared::queue::{DEPTH_LIMIT, Queue, QueueError};
use shared::store::{Job, Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::liveness::Pulse;

/// The time between two sweeps of all workers together. That of each is jittered, so that
/// they do not all sweep at the same moment.
const INTERVAL: Duration = Duration::from_secs(1);
/// The same, while there are many jobs.
const BUSY_INTERVAL: Duration = Duration::from_millis(100);
/// The longest time until a failed sweep is repeated.
const LONGEST_REPEAT: Duration = Duration::from_secs(5);
/// The depth at which the queue is filled up again. A higher one would cost more: a sweep
/// also reads rows that are already in the queue.
const LOW_WATER: usize = DEPTH_LIMIT / 2;

/// The reason why a sweep was not completed.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// The result of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swept {
    /// This many jobs were sent.
    Sent(usize),
    /// The queue needs no more jobs yet.
    QueueIsFull,
}

/// Sends due rows to the queue.
pub struct Sweep {
    /// The rows.
    pub store: Arc<dyn Store>,
    /// The queue that the jobs go to.
    pub queue: Arc<dyn Queue>,
    /// The clock that decides what is due.
    pub clock: Clock,
    /// Beats at each sweep that reached both the database and the queue.
    pub pulse: Pulse,
}

impl Sweep {
    /// Sweeps until `shutdown` is cancelled.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut failing = false;
        loop {
            let pause = match self.once().await {
                Ok(swept) => {
                    failing = false;
                    self.pulse.beat();
                    match swept {
                        Swept::Sent(jobs) if jobs < LOW_WATER => self.queue.share_of(INTERVAL),
                        Swept::Sent(_) | Swept::QueueIsFull => self.queue.share_of(BUSY_INTERVAL),
                    }
                }
                Err(error) => {
                    // Log once for each outage, not at each sweep.
                    if !failing {
                        tracing::warn!(%error, "the sweep failed and will be repeated");
                    }
                    failing = true;
                    self.queue.share_of(INTERVAL).min(LONGEST_REPEAT)
                }
            };
            let pause = pause.mul_f64(rand::rng().random_range(0.75..1.25));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Sweeps once.
    pub async fn once(&self) -> Result<Swept, SweepError> {
        self.queue.maintain().await?;
        let depth = self.queue.depth().await?;
        if depth > LOW_WATER {
            return Ok(Swept::QueueIsFull);
        }
        let (now, room) = (self.clock.now(), DEPTH_LIMIT - depth);
        // The oldest rows are probably in the queue already. How many nobody knows, and no
        // row may be skipped forever.
        let skip = rand::rng().random_range(0..=depth);
        let mut due = self.due(now, skip, room).await?;
        if due.len() < room {
            let mut skipped = self.due(now, 0, skip.min(room - due.len())).await?;
            skipped.append(&mut due);
            due = skipped;
        }
        Ok(Swept::Sent(self.queue.push(&due).await?))
    }

    async fn due(&self, now: Timestamp, skip: usize, limit: usize) -> Result<Vec<Job>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let [skip, limit] = [skip, limit].map(|number| i64::try_from(number).unwrap_or(i64::MAX));
        self.store.due(now, skip, limit).await
    }
}
