use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use apalis_core::backend::ext::poll_strategy::{PollSnapshot, PollStrategy};
use tokio::time::{Instant, Sleep, sleep_until};

/// Wakes an idle worker at a fixed interval.
///
/// It replaces apalis's `IntervalStrategy`, which re-arms its timer without
/// polling it. If a fetch answers within the same poll, that wake-up is lost, and
/// the worker sleeps until the next heartbeat. This strategy polls its timer until
/// the timer is pending, so that one wake-up is always registered.
pub struct Tick {
    interval: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Tick {
    /// Creates a strategy that wakes the worker at once and then at each `interval`.
    pub fn every(interval: Duration) -> Self {
        let timer = Box::pin(sleep_until(Instant::now()));
        Self { interval, timer }
    }
}

impl PollStrategy for Tick {
    fn poll_drive(&mut self, cx: &mut Context<'_>, _: &PollSnapshot) -> Poll<Option<()>> {
        let mut ticked = Poll::Pending;
        while pin!(self.timer.as_mut()).poll(cx).is_ready() {
            self.timer.as_mut().reset(Instant::now() + self.interval);
            ticked = Poll::Ready(Some(()));
        }
        ticked
    }
}
