//! Whether work is being done, for supervisors to see.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

/// How long there may be no sign of life: more than any job takes (two calls to
/// Svix of 10 s, and some 20 s of a database that does not answer), as a queue loop
/// whose places are all taken gives none meanwhile.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// The signs of life of a worker process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Liveness {
    /// The queue loop is registered and fetches.
    pub queue_loop: Pulse,
    /// The sweep reaches the database and the queue.
    pub sweep: Pulse,
}

impl Liveness {
    /// Counts the seconds since each sign of life, from now on, for as long as
    /// the process runs: a process that was frozen meanwhile was not silent.
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

    /// What has given no sign of life for too long.
    pub fn missing(&self) -> Vec<&'static str> {
        let pulses = [("queue loop", &self.queue_loop), ("sweep", &self.sweep)];
        let dead = pulses.into_iter().filter(|(_, pulse)| !pulse.is_alive());
        dead.map(|(name, _)| name).collect()
    }
}

/// For how many seconds something has given no sign of life.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<AtomicU64>);

impl Pulse {
    /// A sign of life.
    pub fn beat(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Whether there was one lately.
    pub fn is_alive(&self) -> bool {
        self.0.load(Ordering::Relaxed) < PATIENCE.as_secs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_has_not_beaten_for_a_minute_is_missing() {
        let liveness = Liveness::watch();
        tokio::time::sleep(PATIENCE / 2).await;
        liveness.sweep.beat();
        tokio::time::sleep(PATIENCE / 2).await;
        assert_eq!(liveness.missing(), ["queue loop"]);
        liveness.queue_loop.beat();
        assert!(liveness.missing().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_was_frozen_was_not_silent() {
        let liveness = Liveness::watch();
        tokio::time::sleep(Duration::from_secs(1)).await;
        tokio::time::advance(PATIENCE * 10).await; // no tick in between
        tokio::task::yield_now().await;
        assert!(liveness.missing().is_empty());
    }
}
