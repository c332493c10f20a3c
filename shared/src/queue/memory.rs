//! The queue of the embedded deployment: apalis's in-memory storage, bounded.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use apalis_core::backend::memory::{MemorySink, MemoryStorage, MemoryStorageError};
use apalis_core::task::Task;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::task_id::TaskId;
use async_trait::async_trait;
use futures_util::{Sink, SinkExt, sink, stream};
use tokio::sync::mpsc;

use super::{DEPTH_LIMIT, Queue, QueueError};
use crate::store::Job;

/// Jobs in this process's memory.
#[derive(Debug, Clone)]
pub struct MemoryQueue {
    sender: mpsc::UnboundedSender<Task<Job>>,
    /// What is waiting; bounds the channel and keeps it free of duplicates.
    waiting: Arc<Mutex<HashSet<Job>>>,
}

impl MemoryQueue {
    /// The queue, and the storage from which the one worker takes its jobs.
    pub fn new() -> (Self, MemoryStorage<Job>) {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let waiting = Arc::new(Mutex::new(HashSet::new()));
        let queue = Self {
            sender,
            waiting: Arc::clone(&waiting),
        };

        let jobs = stream::poll_fn(move |cx| {
            receiver.poll_recv(cx).map(|task: Option<Task<Job>>| {
                if let Some(task) = &task {
                    lock(&waiting).remove(&task.args);
                }
                task
            })
        });
        // Jobs arrive by `push` alone; the storage's own sink goes nowhere.
        let unused: Pin<Box<dyn Sink<Task<Job>, Error = MemoryStorageError> + Send + Sync>> =
            Box::pin(sink::drain().sink_map_err(|never| match never {}));
        let unused = MemorySink::new(Arc::new(futures_util::lock::Mutex::new(Box::new(unused))));
        (queue, MemoryStorage::new_with(unused, Box::pin(jobs)))
    }
}

fn lock(waiting: &Mutex<HashSet<Job>>) -> std::sync::MutexGuard<'_, HashSet<Job>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Queue for MemoryQueue {
    async fn push(&self, jobs: &[Job]) -> Result<usize, QueueError> {
        let mut waiting = lock(&self.waiting);
        for (sent, job) in jobs.iter().enumerate() {
            if waiting.len() >= DEPTH_LIMIT {
                return Ok(sent);
            }
            if waiting.insert(*job) {
                let id = TaskId::from_string(format!("{}:{}", job.key_id, job.attempt));
                self.sender
                    .send(TaskBuilder::new(*job).task_id(id).build())
                    .map_err(|_| QueueError::Unavailable("its worker has ended".into()))?;
            }
        }
        Ok(jobs.len())
    }

    async fn depth(&self) -> Result<usize, QueueError> {
        Ok(lock(&self.waiting).len())
    }
}
