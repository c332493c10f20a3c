use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use shared::config::Rate;

use super::rate_limit::RateLimit;
use crate::http::ClientAddress;

/// The number of addresses that can be paused at the same time.
const MAX_PAUSED: usize = 100_000;

/// The failed authentications of each address.
pub(super) struct Failures {
    rate: RateLimit<ClientAddress>,
    /// The addresses with too many failures, and when each may try again.
    paused: Mutex<HashMap<ClientAddress, Instant>>,
}

impl Failures {
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            rate: RateLimit::new(rate),
            paused: Mutex::default(),
        }
    }

    /// Returns the time for which the address must wait, if it has failed too often.
    pub(super) fn pause(&self, address: ClientAddress) -> Option<Duration> {
        let paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        let until = paused.get(&address)?;
        let wait = until.saturating_duration_since(Instant::now());
        (!wait.is_zero()).then_some(wait)
    }

    /// Counts a failure.
    pub(super) fn count(&self, address: ClientAddress) {
        let Some(wait) = self.rate.count(&address) else {
            return;
        };
        let now = Instant::now();
        let mut paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        if paused.len() >= MAX_PAUSED {
            paused.retain(|_, until| *until > now);
        }
        if paused.len() < MAX_PAUSED {
            paused.insert(address, now + wait);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn an_address_with_too_many_failures_must_wait_and_no_other() {
        let count = NonZeroU32::new(2).unwrap();
        let failures = Failures::new(Rate {
            count,
            per: Duration::from_hours(1),
        });
        let address = |text: &str| ClientAddress::from(text.parse::<std::net::IpAddr>().unwrap());
        let (one, other) = (address("192.0.2.1"), address("192.0.2.2"));
        for _ in 0..2 {
            failures.count(one);
            assert_eq!(failures.pause(one), None);
        }
        failures.count(one);
        assert!(failures.pause(one).unwrap() > Duration::from_mins(29));
        assert_eq!(failures.pause(other), None);
    }
}
