use std::sync::Arc;

use apalis::prelude::{EventListenerExt, TaskId, WorkerBuilder, WorkerBuilderExt, WorkerContext};
use apalis_core::backend::ext::BackendExt;
use apalis_core::worker::event::Event;

use super::RedisQueue;
use super::wake::{Wake, WakeStrategy};
use crate::queue::Consumer;
use crate::queue::consumer::RunningLoop;
use crate::store::Job;

/// Starts apalis's worker loop on the queue, which looks for jobs when `wake` calls. Any
/// error of Redis ends the loop.
pub(super) fn start(queue: RedisQueue, consumer: Consumer, wake: Arc<Wake>) -> RunningLoop {
    let Consumer {
        name,
        concurrency,
        handler,
        jobs,
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
            let (handler, queue) = (Arc::clone(&handler), Arc::clone(&queue));
            let (name, settlements) = (Arc::clone(&name), jobs.clone());
            let work = jobs.spawn(async move {
                handler.handle(job).await;
                // In a task of its own, so that the next job need not wait for it.
                settlements.spawn(async move {
                    if let Err(error) = queue.settle(&name, &id.to_string()).await {
                        tracing::debug!(%error, "the job is not settled; retiring its worker removes it");
                    }
                });
            });
            async move { drop(work.await) }
        });
    RunningLoop::spawn(context, worker.run())
}
