use std::hash::{BuildHasher, Hash, RandomState};
use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use shared::config::Rate;

/// The number of callers that are counted at the same time. Each takes some 50 bytes.
const MAX_CALLERS: usize = 100_000;

/// A token bucket for each caller: a caller may use up the whole rate at once, and
/// gets it back evenly.
pub(super) struct RateLimit<K> {
    quota: Quota,
    /// The buckets of the callers that have used something, by the hash of the caller.
    buckets: Mutex<Buckets>,
    /// Hashes with random keys, so that nobody can find a caller with whom to share a
    /// bucket.
    hasher: RandomState,
    caller: PhantomData<fn(K)>,
}

type Buckets = RateLimiter<u64, HashMapStateStore<u64>, DefaultClock>;

impl<K: Hash> RateLimit<K> {
    pub(super) fn new(rate: Rate) -> Self {
        let quota = Quota::with_period(rate.per / rate.count.get())
            .unwrap_or_else(|| unreachable!("a second divided by a million is not zero"))
            .allow_burst(rate.count);
        Self {
            quota,
            buckets: Mutex::new(Buckets::hashmap(quota)),
            hasher: RandomState::new(),
            caller: PhantomData,
        }
    }

    /// Counts a request of the caller. If there are too many, it is not counted, and
    /// the time is returned after which the next one is allowed.
    pub(super) fn count(&self, caller: &K) -> Option<Duration> {
        let caller = self.hasher.hash_one(caller);
        // The buckets are replaced in one assignment, so a panic leaves them consistent.
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_CALLERS {
            buckets.retain_recent(); // forget the full buckets
            if buckets.len() >= MAX_CALLERS {
                tracing::warn!(
                    MAX_CALLERS,
                    "too many callers to count; counting starts anew"
                );
                *buckets = Buckets::hashmap(self.quota);
            }
        }
        let counted = buckets.check_key(&caller);
        counted
            .err()
            .map(|too_many| too_many.wait_time_from(DefaultClock::default().now()))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn limit(count: u32, per: Duration) -> RateLimit<String> {
        let count = NonZeroU32::new(count).unwrap();
        RateLimit::new(Rate { count, per })
    }

    #[test]
    fn each_caller_has_its_own_rate_and_is_told_when_to_come_again() {
        let limit = limit(3, Duration::from_hours(1));
        let (one, other) = ("one".to_owned(), "other".to_owned());
        for _ in 0..3 {
            assert_eq!(limit.count(&one), None);
        }
        let wait = limit.count(&one).unwrap();
        let expected = Duration::from_mins(19)..=Duration::from_mins(20);
        assert!(expected.contains(&wait), "{wait:?}");
        assert_eq!(limit.count(&other), None);
    }

    #[test]
    fn the_largest_rate_is_valid() {
        let limit = limit(1_000_000, Duration::from_secs(1));
        assert_eq!(limit.count(&String::new()), None);
    }

    #[test]
    fn the_number_of_counted_callers_is_bounded() {
        let limit = limit(1, Duration::from_hours(1));
        for caller in 0..=MAX_CALLERS {
            assert_eq!(limit.count(&caller.to_string()), None);
        }
        assert!(limit.buckets.lock().unwrap().len() < MAX_CALLERS);
    }
}
