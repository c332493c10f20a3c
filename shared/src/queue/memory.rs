//! The queue of the embedded deployment: apalis's in-memory storage, bounded.

use std::collections::HashSet;
use std::future::ready;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use apalis::prelude::{WorkerBuilder, WorkerBuilderExt, WorkerContext};
use apalis_core::backend::memory::{MemorySink, MemoryStorage, MemoryStorageError};
use apalis_core::task::Task;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::task_id::TaskId;
use async_trait::async_trait;
use futures_util::{Sink, SinkExt, sink, stream};
use tokio::sync::mpsc;

use super::consumer::{Runner, RunningLoop};
use super::{Consumer, DEPTH_LIMIT, LoopError, Queue, QueueError};
use crate::store::Job;

/// The time between two heartbeats of the loop.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Jobs in this process's memory, for one worker in the same process.
#[derive(Clone)]
pub struct MemoryQueue {
    sender: mpsc::UnboundedSender<Task<Job>>,
    /// The waiting jobs. They bound the channel and keep it free of duplicates.
    waiting: Arc<Mutex<HashSet<Job>>>,
    /// The other end of the channel, until the one worker takes it.
    storage: Arc<Mutex<Option<MemoryStorage<Job>>>>,
}

impl MemoryQueue {
    /// Creates an empty queue.
    #[must_use]
    pub fn new() -> Self {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let waiting = Arc::new(Mutex::new(HashSet::new()));
        let still_waiting = Arc::clone(&waiting);
        let jobs = stream::poll_fn(move |cx| {
            receiver.poll_recv(cx).map(|task: Option<Task<Job>>| {
                if let Some(task) = &task {
                    lock(&still_waiting).remove(&task.args);
                }
                task
            })
        });
        // Jobs arrive only through `push`, so the storage's own sink leads nowhere.
        let unused: Pin<Box<dyn Sink<Task<Job>, Error = MemoryStorageError> + Send + Sync>> =
            Box::pin(sink::drain().sink_map_err(|never| match never {}));
        let unused = MemorySink::new(Arc::new(futures_util::lock::Mutex::new(Box::new(unused))));
        let storage = MemoryStorage::new_with(unused, Box::pin(jobs));
        Self {
            sender,
            waiting,
            storage: Arc::new(Mutex::new(Some(storage))),
        }
    }
}

impl Default for MemoryQueue {
    fn default() -> Self {
        Self::new()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

    async fn consume(&self, consumer: Consumer) -> Result<(), LoopError> {
        let Some(storage) = lock(&self.storage).take() else {
            return Err(LoopError::Ended("a worker has already used it".into()));
        };
        // The storage has no heartbeat of its own.
        let heartbeat = async {
            loop {
                (consumer.on_heartbeat)();
                tokio::time::sleep(HEARTBEAT).await;
            }
        };
        let running = start(storage, &consumer);
        tokio::select! {
            ended = running.until(consumer.shutdown.clone()) => match ended {
                _ if consumer.shutdown.is_cancelled() => Ok(()),
                Ok(()) => Err(LoopError::Ended("it stopped".into())),
                Err(reason) => Err(LoopError::Ended(reason)),
            },
            () = heartbeat => unreachable!("the heartbeat never ends"),
        }
    }
}

/// Starts apalis's worker loop on the storage.
fn start(storage: MemoryStorage<Job>, consumer: &Consumer) -> RunningLoop {
    let runner = Runner::of(consumer);
    let context = WorkerContext::new(&consumer.name);
    let worker = WorkerBuilder::new(&context)
        .backend(storage)
        .concurrency(consumer.concurrency)
        .build(move |job: Job| runner.start(job, ready(())));
    RunningLoop::spawn(context, worker.run())
}
