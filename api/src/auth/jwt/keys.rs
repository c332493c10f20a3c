//! The cache of the provider's keys. They are fetched again when they are old, or
//! when a token names a key that is not among them.
//!
//! A fetch is a separate task. There is at most one, all requests that need it wait
//! for it, and it goes on if their clients disconnect.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use jsonwebtoken::{Algorithm, DecodingKey};
use shared::clock::{Clock, Timestamp};
use tokio::task::AbortHandle;
use url::Url;

use super::jwks::{Found, KeySet};
use super::provider::{Provider, ProviderError};

/// The age at which keys are fetched again. A key that the provider has withdrawn
/// may still sign sessions for this long.
const MAX_AGE: Duration = Duration::from_mins(10);

/// The shortest time between two fetches because of unknown keys: anybody can
/// send tokens that name unknown keys.
const UNKNOWN_KEY_PAUSE: Duration = Duration::from_secs(30);

/// The time without fetches after one has failed, while older keys can be used.
const FAILURE_PAUSE: Duration = Duration::from_secs(30);

/// The time without fetches after one has failed, while there are no keys and
/// nobody can sign in.
const FIRST_KEYS_PAUSE: Duration = Duration::from_secs(5);

/// The cached keys of a provider.
pub struct Keys(Arc<Inner>);

struct Inner {
    provider: Provider,
    clock: Clock,
    state: Mutex<State>,
}

/// A fetch: its task, and a future for those who wait for its end.
struct Fetch {
    task: AbortHandle,
    ended: Shared<BoxFuture<'static, ()>>,
}

#[derive(Default)]
struct State {
    /// The last keys that were fetched, and when. A failed fetch keeps them.
    cached: Option<(KeySet, Timestamp)>,
    /// The age from which on keys are not used any more, although no new ones can be
    /// fetched.
    max_stale: Duration,
    /// The time of the last fetch, if it failed.
    failed_at: Option<Timestamp>,
    /// The time of the last fetch because of an unknown key.
    unknown_key_at: Option<Timestamp>,
    /// The last fetch.
    fetch: Option<Fetch>,
}

/// The reason why there is no key to verify a token with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoKey {
    /// The provider has no suitable key.
    Refused,
    /// The provider does not answer, so it is unknown whether it has the key.
    Unavailable {
        /// The time until the next fetch.
        retry_after: Duration,
    },
}

impl Keys {
    /// Creates the key cache for the JWKS at `url`. Keys that are older than
    /// `max_stale` are not used.
    pub fn new(url: &Url, max_stale: Duration, clock: Clock) -> Result<Self, ProviderError> {
        let state = State {
            max_stale,
            ..State::default()
        };
        Ok(Self(Arc::new(Inner {
            provider: Provider::new(url)?,
            clock,
            state: Mutex::new(state),
        })))
    }

    /// Returns whether keys have been fetched that may still be used.
    pub fn has_any(&self) -> bool {
        let now = self.0.clock.now();
        self.state().usable(now).is_some()
    }

    /// Starts to fetch the keys in the background, if there are none or if they are
    /// old.
    pub fn refresh(&self) {
        let (mut state, now) = (self.state(), self.0.clock.now());
        if state.is_stale(now) && state.may_fetch(now) {
            self.start_fetch(&mut state);
        }
    }

    /// Returns the key that must have signed a token with this header. Waits for a
    /// fetch if that may give the key.
    pub async fn find(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<DecodingKey, NoKey> {
        let fetch = {
            let (mut state, now) = (self.state(), self.0.clock.now());
            let found = state.find(kid, algorithm, now);
            let (is_stale, is_unknown) = (state.is_stale(now), matches!(found, Found::Unknown));
            let is_needed = is_stale || (is_unknown && state.may_fetch_for_unknown_key(now));
            if is_needed && state.may_fetch(now) {
                self.start_fetch(&mut state);
                if is_unknown && state.cached.is_some() {
                    state.unknown_key_at = Some(now);
                }
            }
            match found {
                // After a failed fetch, stale keys are used without waiting.
                Found::Key(key) if !is_stale || state.failed_at.is_some() => return Ok(key),
                Found::Unsuitable if !is_stale => return Err(NoKey::Refused),
                _ => state.running_fetch(),
            }
        };
        let has_waited = fetch.is_some();
        if let Some(fetch) = fetch {
            fetch.await;
        }

        let (mut state, now) = (self.state(), self.0.clock.now());
        match state.find(kid, algorithm, now) {
            Found::Key(key) => Ok(key),
            Found::Unknown if state.usable(now).is_none() || state.failed_at.is_some() => {
                let failed_at = state.failed_at.unwrap_or(now);
                let retry_after = time_left(state.failure_pause(now), failed_at, now);
                Err(NoKey::Unavailable { retry_after })
            }
            Found::Unknown => {
                if has_waited {
                    // The fetch that has just ended did not give the key.
                    state.unknown_key_at = Some(now);
                }
                Err(NoKey::Refused)
            }
            Found::Unsuitable => Err(NoKey::Refused),
        }
    }

    fn start_fetch(&self, state: &mut State) {
        let inner = Arc::clone(&self.0);
        let task = tokio::spawn(async move { inner.fetch().await });
        state.fetch = Some(Fetch {
            task: task.abort_handle(),
            ended: task.map(|_ended| ()).boxed().shared(),
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state()
    }
}

impl Inner {
    async fn fetch(&self) {
        let fetched = self.provider.fetch().await;
        let (mut state, now) = (self.state(), self.clock.now());
        match fetched {
            Ok(keys) => {
                let count = keys.len();
                if count == 0 {
                    tracing::warn!("the identity provider has no key for RS256, ES256 or EdDSA");
                } else {
                    tracing::info!(count, "fetched the identity provider's keys");
                }
                state.cached = Some((keys, now));
                state.failed_at = None;
            }
            Err(error) => {
                let kept = state.cached.as_ref().map_or(0, |(keys, _)| keys.len());
                tracing::warn!(%error, kept, "the identity provider's keys could not be fetched");
                state.failed_at = Some(now);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is one assignment, so a panic leaves the state consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns the keys, unless they are too old.
    fn usable(&self, now: Timestamp) -> Option<&KeySet> {
        let cached = self.cached.as_ref();
        let usable = cached.filter(|(_, at)| !has_passed(self.max_stale, Some(*at), now));
        usable.map(|(keys, _)| keys)
    }

    fn find(&self, kid: Option<&str>, algorithm: Algorithm, now: Timestamp) -> Found {
        let keys = self.usable(now);
        keys.map_or(Found::Unknown, |keys| keys.find(kid, algorithm))
    }

    /// Returns whether there are no keys, or they are older than [`MAX_AGE`].
    fn is_stale(&self, now: Timestamp) -> bool {
        let fetched_at = self.cached.as_ref().map(|(_, at)| *at);
        has_passed(MAX_AGE, fetched_at, now)
    }

    fn may_fetch_for_unknown_key(&self, now: Timestamp) -> bool {
        has_passed(UNKNOWN_KEY_PAUSE, self.unknown_key_at, now)
    }

    fn may_fetch(&self, now: Timestamp) -> bool {
        self.running_fetch().is_none() && has_passed(self.failure_pause(now), self.failed_at, now)
    }

    /// Returns the time without fetches after one has failed.
    fn failure_pause(&self, now: Timestamp) -> Duration {
        match self.usable(now) {
            Some(_) => FAILURE_PAUSE,
            None => FIRST_KEYS_PAUSE,
        }
    }

    /// Returns the end of the fetch that is running, if there is one.
    fn running_fetch(&self) -> Option<Shared<BoxFuture<'static, ()>>> {
        let fetch = self.fetch.as_ref();
        let fetch = fetch.filter(|fetch| !fetch.task.is_finished());
        fetch.map(|fetch| fetch.ended.clone())
    }
}

/// Returns whether `period` has passed since `start`; without a start it has.
///
/// If the clock was set back, `start` is in the future. A start at least one
/// period ahead therefore counts as passed: otherwise the wait could be very long.
fn has_passed(period: Duration, start: Option<Timestamp>, now: Timestamp) -> bool {
    start.is_none_or(|start| now.since(start).max(start.since(now)) >= period)
}

/// Returns the rest of the period, at least one second.
fn time_left(period: Duration, start: Timestamp, now: Timestamp) -> Duration {
    let left = period.saturating_sub(now.since(start));
    left.max(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_has_passed_at_its_end_or_if_the_clock_was_set_back_by_as_much() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let minute = Duration::from_mins(1);
        assert!(has_passed(minute, None, at(0)));
        for (now, passed) in [
            (100, false),
            (159, false),
            (160, true),
            (99, false),
            (40, true),
        ] {
            assert_eq!(has_passed(minute, Some(at(100)), at(now)), passed, "{now}");
        }
        assert_eq!(time_left(minute, at(100), at(110)), Duration::from_secs(50));
        assert_eq!(time_left(minute, at(100), at(160)), Duration::from_secs(1));
    }
}
