//! Portal links from Svix, for all requests of this process.
//!
//! All of them use one token of ours. So their number at a time is limited, and when
//! Svix answers 429, all of them wait in line for a while instead of failing.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared::ids::KeyId;
use shared::svix::{PortalLink, SvixClient, SvixConfig, SvixError, SvixFailure};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout_at};

/// The time limit of a link, from the request to the answer of Svix.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The number of calls at the same time.
const MAX_CALLS: usize = 64;

/// The time between two calls after the first 429. It doubles with each further one.
const FIRST_SPACING: Duration = Duration::from_millis(50);
/// The longest time between two calls.
const MAX_SPACING: Duration = Duration::from_millis(800);
/// The time after the last 429 for which calls are spaced.
const SPACED_FOR: Duration = Duration::from_secs(30);

/// The source of portal links.
pub struct Portal {
    svix: SvixClient,
    calls: Semaphore,
    pace: Mutex<Pace>,
}

/// The reason why there is no link.
#[derive(Debug)]
pub enum PortalError {
    /// More links are asked for than Svix gives.
    Busy,
    /// Svix failed.
    Svix(SvixError),
}

impl Portal {
    /// Creates a source of links. It makes no call yet.
    pub fn new(svix: &SvixConfig) -> Self {
        Self {
            svix: SvixClient::new(svix, TIMEOUT),
            calls: Semaphore::new(MAX_CALLS),
            pace: Mutex::default(),
        }
    }

    /// Returns a link to the application. Its sessions are tied to the key.
    pub async fn link(&self, svix_app_id: &str, key: KeyId) -> Result<PortalLink, PortalError> {
        let deadline = Instant::now() + TIMEOUT;
        let mut last_error = None;
        loop {
            let Ok(_call) = timeout_at(deadline, self.turn()).await else {
                return Err(last_error.map_or(PortalError::Busy, PortalError::Svix));
            };
            let call = self.svix.portal_link(svix_app_id, key);
            let answer = timeout_at(deadline, call).await;
            match answer.unwrap_or_else(|_elapsed| Err(timed_out())) {
                Err(error) if error.failure == SvixFailure::RateLimited => {
                    self.pace().slow_down(Instant::now());
                    last_error = Some(error);
                }
                answer => return answer.map_err(PortalError::Svix),
            }
        }
    }

    /// Waits until the next call may be made. The call counts until the returned value
    /// is dropped.
    async fn turn(&self) -> tokio::sync::SemaphorePermit<'_> {
        let call = self.calls.acquire().await;
        let call = call.unwrap_or_else(|_closed| unreachable!("nothing closes the semaphore"));
        let at = self.pace().next(Instant::now());
        sleep_until(at).await;
        call
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        // Each change is complete before anything can panic.
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn timed_out() -> SvixError {
    SvixError::new(SvixFailure::TimedOut, "no answer in time")
}

/// The times at which calls may be made.
#[derive(Default)]
struct Pace {
    /// The time between two calls; zero before the first 429.
    spacing: Duration,
    limited_at: Option<Instant>,
    next: Option<Instant>,
}

impl Pace {
    /// Records a 429. Several that come together count once.
    fn slow_down(&mut self, now: Instant) {
        let is_news = self.limited_at.is_none_or(|at| now - at >= self.spacing);
        if is_news {
            self.spacing = (self.spacing * 2).clamp(FIRST_SPACING, MAX_SPACING);
            self.limited_at = Some(now);
        }
    }

    /// Returns the time of the next call, and takes it.
    fn next(&mut self, now: Instant) -> Instant {
        if self.limited_at.is_none_or(|at| now - at >= SPACED_FOR) {
            *self = Self::default();
            return now;
        }
        let at = self.next.map_or(now, |next| next.max(now));
        self.next = Some(at + self.spacing);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_spaced_for_a_while_after_a_429_and_more_after_another() {
        let start = Instant::now();
        let mut pace = Pace::default();
        assert_eq!((pace.next(start), pace.next(start)), (start, start));

        pace.slow_down(start);
        pace.slow_down(start); // of a call that was made at the same time
        for call in 0..3 {
            assert_eq!(pace.next(start), start + FIRST_SPACING * call);
        }
        let later = start + Duration::from_secs(10);
        pace.slow_down(later);
        assert_eq!(pace.next(later), later);
        assert_eq!(pace.next(later), later + FIRST_SPACING * 2);

        let over = later + SPACED_FOR;
        assert_eq!((pace.next(over), pace.next(over)), (over, over));
    }

    #[test]
    fn the_spacing_is_bounded() {
        let mut pace = Pace::default();
        let mut now = Instant::now();
        for _ in 0..20 {
            now += Duration::from_secs(1);
            pace.slow_down(now);
        }
        assert_eq!(pace.spacing, MAX_SPACING);
    }
}
