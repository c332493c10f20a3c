//! The retry policy: exponential backoff with full jitter. The time of the next
//! attempt is kept in the row (`next_attempt_at`), so it survives every process.

use std::time::Duration;

use rand::{Rng, RngExt};

use crate::clock::Timestamp;
use crate::store::Outcome;
use crate::svix::{SvixError, SvixFailure};

/// The longest delay of the first retry. It doubles with each further one.
const BASE: Duration = Duration::from_secs(1);
/// The longest delay of any retry.
const CAP: Duration = Duration::from_hours(1);
/// The shortest delay after a 429. The SDK hides `Retry-After`. 30 s is long for
/// Svix's per-second limits and short for a partner.
const RATE_LIMITED_FLOOR: Duration = Duration::from_secs(30);
/// The number of attempts after which the work is a dead letter. That is after some
/// 9 hours on average and 18 at most, as 12 delays are below the cap and 17 are at it. After
/// answers that need an operator it is longer: each waits for the whole cap.
pub const MAX_TRIES: i32 = 30;

/// Returns the longest delay after attempt number `tries`, counted from 1: the base
/// times 2^(tries-1), capped.
fn ceiling(tries: i32) -> Duration {
    let doublings = u32::try_from(tries - 1).unwrap_or(0).min(31);
    BASE.saturating_mul(1 << doublings).min(CAP)
}

/// Returns a random delay between zero and the longest one, all equally likely. This
/// is "full jitter", which spreads many retries best (Brooker, "Exponential Backoff
/// And Jitter", 2015).
pub fn backoff(tries: i32, rng: &mut impl Rng) -> Duration {
    rng.random_range(Duration::ZERO..=ceiling(tries))
}

/// Returns the outcome of a failed attempt: a retry, or a dead letter.
///
/// `tries` counts the attempts since the work was armed, including this one.
pub fn outcome_of(error: &SvixError, tries: i32, now: Timestamp, rng: &mut impl Rng) -> Outcome {
    let text = error.to_string();
    let is_spent = tries >= MAX_TRIES;
    match error.failure {
        // Svix will never accept it.
        SvixFailure::Rejected => Outcome::DeadLetter {
            at: now,
            error: text,
        },
        // Our token or server URL is invalid. That is not the row's fault, so the row
        // never becomes a dead letter. No retry can help before an operator fixes the
        // setting, so the delay is long.
        SvixFailure::Unauthorized | SvixFailure::NoSuchRoute => Outcome::Retry {
            at: now + CAP,
            error: text,
        },
        _ if is_spent => Outcome::DeadLetter {
            at: now,
            error: text,
        },
        SvixFailure::RateLimited => Outcome::Retry {
            at: now + RATE_LIMITED_FLOOR + backoff(tries, rng),
            error: text,
        },
        SvixFailure::TimedOut
        | SvixFailure::Transient
        | SvixFailure::NotFound
        | SvixFailure::Conflict => Outcome::Retry {
            at: now + backoff(tries, rng),
            error: text,
        },
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000_000);

    fn outcome(failure: SvixFailure, tries: i32) -> Outcome {
        let error = SvixError::new(failure, "test");
        outcome_of(&error, tries, NOW, &mut SmallRng::seed_from_u64(7))
    }

    fn delay(outcome: &Outcome) -> Duration {
        match outcome {
            Outcome::Retry { at, .. } => at.since(NOW),
            other => panic!("expected a retry, got {other:?}"),
        }
    }

    #[test]
    fn the_ceiling_doubles_from_one_second_to_one_hour() {
        let ceilings: Vec<u64> = (1..=14).map(|tries| ceiling(tries).as_secs()).collect();
        let expected = [
            1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600,
        ];
        assert_eq!(ceilings, expected);
        assert_eq!(ceiling(i32::MAX), CAP);
    }

    #[test]
    fn the_jitter_is_full() {
        let mut rng = SmallRng::seed_from_u64(7);
        let delays: Vec<Duration> = (0..1000).map(|_| backoff(5, &mut rng)).collect();
        let ceiling = ceiling(5);
        assert!(delays.iter().all(|d| *d <= ceiling));
        assert!(delays.iter().any(|d| *d < ceiling / 10));
        assert!(delays.iter().any(|d| *d > ceiling * 9 / 10));
    }

    #[test]
    fn a_failure_that_may_pass_is_retried_until_the_tries_are_spent() {
        for failure in [
            SvixFailure::Transient,
            SvixFailure::TimedOut,
            SvixFailure::NotFound,
        ] {
            assert!(delay(&outcome(failure, 1)) <= BASE);
            assert!(matches!(
                outcome(failure, MAX_TRIES - 1),
                Outcome::Retry { .. }
            ));
            assert!(matches!(
                outcome(failure, MAX_TRIES),
                Outcome::DeadLetter { .. }
            ));
        }
    }

    #[test]
    fn a_429_waits_at_least_30_seconds() {
        assert!(delay(&outcome(SvixFailure::RateLimited, 1)) >= RATE_LIMITED_FLOOR);
    }

    #[test]
    fn a_misconfiguration_waits_for_the_cap_and_is_never_a_dead_letter() {
        for failure in [SvixFailure::Unauthorized, SvixFailure::NoSuchRoute] {
            assert_eq!(delay(&outcome(failure, 1)), CAP);
            assert_eq!(delay(&outcome(failure, 1000)), CAP);
        }
    }

    #[test]
    fn a_call_that_svix_rejects_is_a_dead_letter_at_once() {
        assert!(matches!(
            outcome(SvixFailure::Rejected, 1),
            Outcome::DeadLetter { .. }
        ));
    }
}
