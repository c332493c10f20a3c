//! The nudge: tells the queue about new work right after the commit, so that the
//! work need not wait for the sweep. It never delays the request.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::Queue;
use crate::metrics;
use crate::store::Job;

/// The number of nudges that may wait for Redis. Further ones are dropped, and the
/// sweep finds their rows.
const CAPACITY: usize = 1024;
/// The number of nudges that are sent to Redis together.
const BATCH: usize = 100;

/// Hands jobs to the background task that sends them.
#[derive(Debug, Clone)]
pub struct Nudge(mpsc::Sender<Job>);

impl Nudge {
    /// Sends the job soon, as part of the current trace, or drops it if too many are
    /// waiting. It never waits and never fails.
    pub fn send(&self, job: Job) {
        // Full or closed: the sweep finds the row.
        if self.0.try_send(job.in_current_trace()).is_err() {
            metrics::NUDGES_DROPPED.inc();
        }
    }
}

/// Creates a [`Nudge`] and the task that sends its jobs to `queue`. The task ends
/// when the last clone of the `Nudge` is dropped.
pub fn nudge(queue: Arc<dyn Queue>) -> (Nudge, impl Future<Output = ()> + Send) {
    let (sender, mut receiver) = mpsc::channel(CAPACITY);
    let task = async move {
        let mut batch = Vec::with_capacity(BATCH);
        let mut failing = false;
        while receiver.recv_many(&mut batch, BATCH).await > 0 {
            let pushed = queue.push(&batch).await;
            let sent = pushed.as_ref().map_or(0, |sent| *sent);
            metrics::NUDGES_DROPPED.inc_by(batch.len().saturating_sub(sent) as u64);
            match pushed {
                Ok(_) => failing = false,
                // Log once for each outage, not once for each request.
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(%error, "nudges are dropped; the sweep will find the rows");
                }
                Err(_) => {}
            }
            batch.clear();
        }
    };
    (Nudge(sender), task)
}
