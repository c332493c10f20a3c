//! The queue: a hint that there is work, never the truth.
//!
//! It holds [`Job`]s, that is `{key_id, attempt}`, and nothing else. Losing
//! all of it at any moment costs latency: the sweep reads the rows again.

pub mod memory;
mod nudge;
pub mod redis;

use async_trait::async_trait;

pub use memory::MemoryQueue;
pub use nudge::{Nudge, nudge};
pub use redis::{LiveWorker, RedisQueue};

use crate::store::Job;

/// How many jobs a queue holds before it takes no more: some seconds of work
/// for a worker. The rest of a backlog waits in the database's index.
pub const DEPTH_LIMIT: usize = 1000;

/// Why the queue did not do what was asked. Never fatal: the sweep repeats it.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Redis is down, slow or refusing.
    #[error("the queue is unavailable: {0}")]
    Unavailable(String),
}

/// Where jobs are sent.
#[async_trait]
pub trait Queue: Send + Sync + 'static {
    /// Sends jobs, in order, for as long as the queue is not full. How many
    /// there was room for; a job that is already waiting counts, and is not
    /// sent twice.
    async fn push(&self, jobs: &[Job]) -> Result<usize, QueueError>;

    /// How many jobs are waiting.
    async fn depth(&self) -> Result<usize, QueueError>;
}
