//! The nudge: after a commit, tell the queue at once instead of waiting for the
//! sweep, without ever holding up the request.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::Queue;
use crate::store::Job;

/// Nudges that may wait for Redis; more are dropped, and the sweep finds the rows.
const CAPACITY: usize = 1024;
/// Nudges sent to Redis in one go.
const BATCH: usize = 100;

/// Hands jobs to the background task that sends them.
#[derive(Debug, Clone)]
pub struct Nudge(mpsc::Sender<Job>);

impl Nudge {
    /// Sends the job soon, or not at all. Never waits, never fails.
    pub fn send(&self, job: Job) {
        // Full or closed: the sweep finds the row within a second or so.
        let _ = self.0.try_send(job);
    }
}

/// A [`Nudge`] and the task behind it, which ends when the last `Nudge` is dropped.
pub fn nudge(queue: Arc<dyn Queue>) -> (Nudge, impl Future<Output = ()> + Send) {
    let (sender, mut receiver) = mpsc::channel(CAPACITY);
    let task = async move {
        let mut batch = Vec::with_capacity(BATCH);
        let mut failing = false;
        while receiver.recv_many(&mut batch, BATCH).await > 0 {
            match queue.push(&batch).await {
                Ok(_) => failing = false,
                // Once an outage, not once a request.
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
