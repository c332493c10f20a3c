//! Wakes an idle worker: by a message as soon as a job arrives, or by a slow tick.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use apalis_core::backend::ext::poll_strategy::{PollSnapshot, PollStrategy};
use futures_util::StreamExt;
use futures_util::task::AtomicWaker;
use rand::RngExt;
use redis::RedisResult;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};

use super::fleet::Fleet;
use super::link::Link;
use crate::coalesce::BatchError;
use crate::queue::QueueError;

/// The time after which some worker looks for jobs without a message. It is divided among
/// the workers, so that more of them cost no more.
const TICK: Duration = Duration::from_millis(250);
/// The time after which a worker looks again that was woken by a message. A fetch that was
/// under way when the message came may have missed the job.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// The time without a message after which the subscription is tested.
const TEST_AFTER: Duration = Duration::from_secs(30);
/// The time limit for opening the subscription, and for its test.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The longest pause before the next subscription after one that was lost.
const PAUSE: Duration = Duration::from_secs(1);

/// A wake-up call from the subscription to the worker's loop.
#[derive(Default)]
pub(super) struct Wake {
    called: AtomicBool,
    sleeper: AtomicWaker,
}

impl Wake {
    fn call(&self) {
        self.called.store(true, Ordering::Release);
        self.sleeper.wake();
    }

    /// Calls at each message on the channel, and whenever messages may have been missed.
    /// Never returns. Whatever goes wrong, the tick still wakes the worker.
    pub(super) async fn listen(&self, link: &Link, channel: &str) {
        loop {
            if let Err(error) = self.listen_once(link, channel).await {
                tracing::debug!(%error, "the subscription to new jobs was lost");
            }
            let pause = PAUSE.mul_f64(rand::rng().random_range(0.5..1.0));
            sleep(pause).await;
        }
    }

    async fn listen_once(&self, link: &Link, channel: &str) -> Result<(), QueueError> {
        let subscribe = async {
            let mut subscription = link.primary().await?.get_async_pubsub().await?;
            subscription.subscribe(channel).await?;
            Ok(subscription)
        };
        let (mut sink, mut messages) = in_time(subscribe).await?.split();
        self.call(); // for the messages until now
        loop {
            match timeout(TEST_AFTER, messages.next()).await {
                Ok(Some(_)) => self.call(),
                Ok(None) => return Ok(()),
                Err(_quiet) => in_time(sink.ping::<()>()).await?,
            }
        }
    }
}

async fn in_time<T>(answer: impl Future<Output = RedisResult<T>>) -> Result<T, QueueError> {
    match timeout(TIMEOUT, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_elapsed) => Err(QueueError::timed_out()),
    }
}

/// Decides when an idle worker looks for jobs.
///
/// It replaces apalis's `IntervalStrategy`, which re-arms its timer without
/// polling it. If a fetch answers within the same poll, that wake-up is lost, and
/// the worker sleeps until the next heartbeat. This strategy polls its timer until
/// the timer is pending, so that one wake-up is always registered.
pub(super) struct WakeStrategy {
    wake: Arc<Wake>,
    fleet: Fleet,
    timer: Pin<Box<Sleep>>,
}

impl WakeStrategy {
    /// Creates a strategy that lets the worker look at once, then at each call and tick.
    pub(super) fn new(wake: Arc<Wake>, fleet: Fleet) -> Self {
        let timer = Box::pin(sleep_until(Instant::now()));
        Self { wake, fleet, timer }
    }
}

impl PollStrategy for WakeStrategy {
    fn poll_drive(&mut self, cx: &mut Context<'_>, _: &PollSnapshot) -> Poll<Option<()>> {
        self.wake.sleeper.register(cx.waker());
        let mut ready = Poll::Pending;
        if self.wake.called.swap(false, Ordering::Acquire) {
            self.timer.as_mut().reset(Instant::now() + LOOK_AGAIN);
            ready = Poll::Ready(Some(()));
        }
        while pin!(self.timer.as_mut()).poll(cx).is_ready() {
            let tick = self.fleet.share_of(TICK);
            self.timer.as_mut().reset(Instant::now() + tick);
            ready = Poll::Ready(Some(()));
        }
        ready
    }
}
