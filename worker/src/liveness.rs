//! The signs of life of a worker, for health checks and supervisors.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

/// The time without a sign of life after which a part counts as dead. It is longer
/// than any job takes (two calls to Svix of 10 s each, and some 20 s of a database
/// that does not answer), because a queue loop that runs as many jobs as it may gives
/// no sign of life until one of them ends.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// The signs of life of a worker. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Liveness {
    /// Beats while the queue loop can fetch jobs.
    pub queue_loop: Pulse,
    /// Beats while the sweep reaches the database and the queue.
    pub sweep: Pulse,
}

impl Liveness {
    /// Starts to count the seconds since each sign of life, until the process ends.
    /// Time in which the whole process was frozen does not count.
    pub fn watch() -> Self {
        let liveness = Self::default();
        let watched = liveness.clone();
        tokio::spawn(async move {
            let mut seconds = interval(Duration::from_secs(1));
            seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                seconds.tick().await;
                watched.queue_loop.0.fetch_add(1, Ordering::Relaxed);
                watched.sweep.0.fetch_add(1, Ordering::Relaxed);
            }
        });
        liveness
    }

    /// Returns the parts that have given no sign of life for too long.
    pub fn missing(&self) -> Vec<&'static str> {
        let pulses = [("queue loop", &self.queue_loop), ("sweep", &self.sweep)];
        let dead = pulses.into_iter().filter(|(_, pulse)| !pulse.is_alive());
        dead.map(|(name, _)| name).collect()
    }
}

/// The seconds since the last sign of life of one part of the worker.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<AtomicU64>);

impl Pulse {
    /// Records a sign of life.
    pub fn beat(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Returns whether the last sign of life is recent enough.
    pub fn is_alive(&self) -> bool {
        self.0.load(Ordering::Relaxed) < PATIENCE.as_secs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_part_without_a_beat_for_a_minute_is_missing() {
        let liveness = Liveness::watch();
        tokio::time::sleep(PATIENCE / 2).await;
        liveness.sweep.beat();
        tokio::time::sleep(PATIENCE / 2).await;
        assert_eq!(liveness.missing(), ["queue loop"]);
        liveness.queue_loop.beat();
        assert!(liveness.missing().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_in_which_the_process_was_frozen_does_not_count() {
        let liveness = Liveness::watch();
        tokio::time::sleep(Duration::from_secs(1)).await;
        tokio::time::advance(PATIENCE * 10).await; // no tick in between
        tokio::task::yield_now().await;
        assert!(liveness.missing().is_empty());
    }
}
