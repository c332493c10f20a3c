//! The queue: a hint that there is work, never the truth.
//!
//! It holds [`Job`]s, that is `{key_id, attempt}` and perhaps a trace, and nothing else.
//! Losing the whole queue at any moment costs only latency, because the sweep reads the
//! rows again.

mod consumer;
pub mod memory;
mod nudge;
pub mod redis;

use std::time::Duration;

use async_trait::async_trait;

pub use consumer::{Consumer, JobHandler, LoopError, Rest};
pub use memory::MemoryQueue;
pub use nudge::{Nudge, nudge};
pub use redis::{LiveWorker, RedisQueue};

use crate::store::Job;

/// The number of jobs that a queue holds before it accepts no more: some seconds
/// of work for one worker. The rest of a backlog waits in the database's index.
pub const DEPTH_LIMIT: usize = 1000;

/// The reason why the queue did not do what it was asked. Never fatal, because
/// the sweep repeats it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QueueError {
    /// The queue is down, slow or refuses the request.
    #[error("the queue is unavailable: {0}")]
    Unavailable(String),
}

/// A queue of jobs, as the api and the worker use it.
#[async_trait]
pub trait Queue: Send + Sync + 'static {
    /// Sends jobs, in order, until the queue is full. Returns how many it took.
    /// A job that is already waiting counts, and is not sent twice.
    async fn push(&self, jobs: &[Job]) -> Result<usize, QueueError>;

    /// Returns how many jobs are waiting.
    async fn depth(&self) -> Result<usize, QueueError>;

    /// Takes jobs and gives them to the consumer's handler until the consumer is
    /// told to shut down. Jobs that are running then go on in `consumer.jobs`.
    async fn consume(&self, consumer: Consumer) -> Result<(), LoopError>;

    /// Forgets a worker whose queue loop has ended, together with the jobs that it
    /// had fetched and not begun. Their rows are still due, so the sweep sends
    /// them again. A queue that keeps no record of its workers does nothing.
    async fn retire(&self, _worker: &str) -> Result<(), QueueError> {
        Ok(())
    }

    /// Returns the period of this worker if all workers on the queue together do something
    /// once in the period `of_all`. Each call of [`Queue::maintain`] counts the workers.
    fn share_of(&self, of_all: Duration) -> Duration {
        of_all
    }

    /// Removes what crashed workers and foreign programs left in the queue. Each
    /// sweep calls it. A queue that lives in this process has nothing to remove.
    async fn maintain(&self) -> Result<(), QueueError> {
        Ok(())
    }
}
