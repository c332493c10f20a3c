//! Whether work is being done, for supervisors to see.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long there may be no sign of life: more than any job takes, as a queue
/// loop whose places are all taken gives none meanwhile.
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
    /// What has given no sign of life for too long.
    pub fn missing(&self) -> Vec<&'static str> {
        let pulses = [("queue loop", &self.queue_loop), ("sweep", &self.sweep)];
        let dead = pulses.into_iter().filter(|(_, pulse)| !pulse.is_alive());
        dead.map(|(name, _)| name).collect()
    }
}

/// When something last gave a sign of life.
#[derive(Debug, Clone)]
pub struct Pulse(Arc<Mutex<Instant>>);

impl Default for Pulse {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }
}

impl Pulse {
    /// A sign of life.
    pub fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Whether there was one lately.
    pub fn is_alive(&self) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.elapsed() < PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_has_not_beaten_for_a_minute_is_missing() {
        let liveness = Liveness::default();
        tokio::time::advance(PATIENCE / 2).await;
        liveness.sweep.beat();
        tokio::time::advance(PATIENCE / 2).await;
        assert_eq!(liveness.missing(), ["queue loop"]);
        liveness.queue_loop.beat();
        assert!(liveness.missing().is_empty());
    }
}
