use std::sync::Arc;

use apalis::prelude::{EventListenerExt, TaskId, WorkerBuilder, WorkerBuilderExt, WorkerContext};
use apalis_core::backend::ext::BackendExt;
use apalis_core::worker::event::Event;

use super::RedisQueue;
use super::wake::{Wake, WakeStrategy};
use crate::queue::Consumer;
use crate::queue::consumer::{Runner, RunningLoop};
use crate::store::Job;

/// Starts apalis's worker loop on the queue, which looks for jobs when `wake` calls. Any
/// error of Redis ends the loop.
pub(super) fn start(queue: RedisQueue, consumer: Consumer, wake: Arc<Wake>) -> RunningLoop {
    let runner = Runner::of(&consumer);
    let Consumer {
        name,
        concurrency,
        on_heartbeat,
        ..
    } = consumer;
    let context = WorkerContext::new(&name);
    let name: Arc<str> = name.into();
    let strategy = WakeStrategy::new(wake, queue.fleet.clone());
    let storage = queue.storage();
    let queue = Arc::new(queue);

    let worker = WorkerBuilder::new(&context)
        .backend(storage.poll_with_strategy(strategy))
        .concurrency(concurrency)
        .on_event(move |_, event| {
            if matches!(event, Event::HeartBeat) {
                on_heartbeat();
            }
        })
        .build(move |job: Job, id: TaskId| {
            let (name, queue) = (Arc::clone(&name), Arc::clone(&queue));
            runner.start(job, async move {
                if let Err(error) = queue.settle(&name, &id.to_string()).await {
                    tracing::debug!(%error, "the job is not settled; retiring its worker removes it");
                }
            })
        });
    RunningLoop::spawn(context, worker.run())
}
