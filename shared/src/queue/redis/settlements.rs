use async_trait::async_trait;
use redis::Script;

use super::link::Link;
use super::scripts;
use crate::coalesce::{Batch, BatchError};
use crate::metrics::{Failure, Operation};
use crate::queue::QueueError;

/// A job that a worker has performed.
#[derive(Clone)]
pub(super) struct Settlement {
    /// The set of jobs that the worker has fetched.
    pub(super) inflight_set: String,
    /// The key of the job's metadata.
    pub(super) metadata: String,
    /// The job's id.
    pub(super) task_id: String,
}

/// Removes every trace of the jobs that are done, many by one script.
pub(super) struct Settlements {
    pub(super) link: Link,
    /// The key of the hash with the jobs' content.
    pub(super) data_hash: String,
}

#[async_trait]
impl Batch for Settlements {
    const OPERATION: Operation = Operation {
        system: "redis",
        summary: "BATCH settle jobs",
    };
    type Question = Settlement;
    type Answer = ();
    type Error = QueueError;

    async fn run(&self, done: &[Settlement]) -> Result<Vec<()>, QueueError> {
        let script = Script::new(scripts::SETTLE);
        let mut settle = script.key(&self.data_hash);
        for job in done {
            settle.key(&job.inflight_set).key(&job.metadata);
            settle.arg(&job.task_id);
        }
        let () = settle.invoke_async(&mut self.link.clone()).await?;
        Ok(vec![(); done.len()])
    }
}

impl Failure for QueueError {
    fn error_type(&self) -> &'static str {
        "unavailable"
    }
}

impl BatchError for QueueError {
    fn timed_out() -> Self {
        Self::Unavailable("no answer in time".to_owned())
    }

    /// Redis fails for all jobs or for none.
    fn may_be_a_questions_fault(&self) -> bool {
        false
    }
}
