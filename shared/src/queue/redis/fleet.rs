use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The largest number of workers among which periodic work is divided. Beyond it each
/// worker's period would be too long if the others died.
const MAX_SHARES: u32 = 30;

/// The number of live workers, as last read from Redis. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Fleet(Arc<AtomicU32>);

impl Fleet {
    /// Sets the number of live workers.
    pub(super) fn set(&self, workers: usize) {
        let workers = u32::try_from(workers).unwrap_or(u32::MAX);
        self.0.store(workers, Ordering::Relaxed);
    }

    /// Returns the number among which periodic work is divided, at least 1.
    pub(super) fn shares(&self) -> u32 {
        self.0.load(Ordering::Relaxed).clamp(1, MAX_SHARES)
    }

    /// Returns the period of one worker if all of them together have the period `of_all`.
    pub(super) fn share_of(&self, of_all: Duration) -> Duration {
        of_all * self.shares()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_workers_do_the_same_work_less_often_each() {
        let (fleet, second) = (Fleet::default(), Duration::from_secs(1));
        assert_eq!(fleet.share_of(second), second);
        for (workers, share) in [(0, 1), (1, 1), (20, 20), (1000, 30)] {
            fleet.set(workers);
            assert_eq!(fleet.share_of(second), second * share, "{workers}");
        }
    }
}
