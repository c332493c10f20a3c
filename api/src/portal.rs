//! Portal links from Svix, for all requests of this process.
//!
//! All of them use one token of ours. So their number at a time is limited, and when
//! Svix answers 429, all of them wait in line for a while instead of failing. A request that
//! would wait too long is refused at once.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared::ids::KeyId;
use shared::svix::{PortalLink, SvixClient, SvixConfig, SvixError, SvixFailure};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until, timeout_at};

/// The time limit of a link, from the request to the answer of Svix.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The part of `TIMEOUT` that is kept for the call itself while calls are spaced. A call that
/// began later would time out, and use up the pace without giving a link.
const CALL_TIME: Duration = Duration::from_secs(1);

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
            let Some(_call) = self.turn(deadline).await else {
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
    /// is dropped. Returns `None` as soon as it is known that the turn would come too late.
    async fn turn(&self, deadline: Instant) -> Option<SemaphorePermit<'_>> {
        let call = timeout_at(deadline, self.calls.acquire()).await.ok()?;
        let call = call.unwrap_or_else(|_closed| unreachable!("nothing closes the semaphore"));
        let at = self.pace().next(Instant::now(), deadline)?;
        sleep_until(at).await;
        Some(call)
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

    /// Returns the time of the next call, and takes it. Returns `None`, and takes nothing, if
    /// less than `CALL_TIME` would be left for the call until the deadline.
    fn next(&mut self, now: Instant, deadline: Instant) -> Option<Instant> {
        if self.limited_at.is_none_or(|at| now - at >= SPACED_FOR) {
            *self = Self::default();
            return Some(now);
        }
        let at = self.next.map_or(now, |next| next.max(now));
        if at + CALL_TIME > deadline {
            return None;
        }
        self.next = Some(at + self.spacing);
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_spaced_for_a_while_after_a_429_and_more_after_another() {
        let start = Instant::now();
        let mut pace = Pace::default();
        let next = |pace: &mut Pace, now: Instant| pace.next(now, now + TIMEOUT);
        for _ in 0..2 {
            assert_eq!(next(&mut pace, start), Some(start));
        }

        pace.slow_down(start);
        pace.slow_down(start); // of a call that was made at the same time
        for call in 0..3 {
            assert_eq!(next(&mut pace, start), Some(start + FIRST_SPACING * call));
        }
        let later = start + Duration::from_secs(10);
        pace.slow_down(later);
        for call in 0..2 {
            let at = later + FIRST_SPACING * 2 * call;
            assert_eq!(next(&mut pace, later), Some(at));
        }

        let over = later + SPACED_FOR;
        for _ in 0..2 {
            assert_eq!(next(&mut pace, over), Some(over));
        }
    }

    /// Returns the slowest pace, and the time of its last 429.
    fn slowest() -> (Pace, Instant) {
        let mut pace = Pace::default();
        let mut now = Instant::now();
        for _ in 0..20 {
            now += Duration::from_secs(1);
            pace.slow_down(now);
        }
        (pace, now)
    }

    #[test]
    fn the_spacing_is_bounded() {
        assert_eq!(slowest().0.spacing, MAX_SPACING);
    }

    /// Requests that gave up still delayed the next call, until no call was made at all.
    #[test]
    fn calls_go_on_at_their_pace_however_many_links_are_asked_for() {
        let (mut pace, start) = slowest();
        let mut calls = Vec::new();
        for request in 0..60 {
            let now = start + Duration::from_secs(1) * request / 3;
            calls.extend(pace.next(now, now + TIMEOUT));
        }
        // The last request comes after 19.7 s, and a call at 24 s would be too late for it.
        let expected: Vec<Instant> = (0..30).map(|call| start + MAX_SPACING * call).collect();
        assert_eq!(calls, expected);
    }
}
