//! The provider's keys, kept for a while and fetched again when they are old, or
//! when a token names a key that is not among them.
//!
//! A fetch is a task of its own: there is at most one, whoever needs it waits for
//! it, and a client that goes away does not end it.

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

/// How long keys are used without asking: how long one that the provider has
/// withdrawn may still sign sessions.
const MAX_AGE: Duration = Duration::from_mins(10);

/// The least time between two fetches for the sake of unknown keys. Anybody can
/// make up a key's name.
const UNKNOWN_KEY_PAUSE: Duration = Duration::from_secs(30);

/// How long the provider is left alone after a failed fetch, while there are
/// keys to go on with.
const FAILURE_PAUSE: Duration = Duration::from_secs(30);

/// The same, while there are none and nobody can sign in.
const FIRST_KEYS_PAUSE: Duration = Duration::from_secs(5);

/// A provider's keys.
pub struct Keys(Arc<Inner>);

struct Inner {
    provider: Provider,
    clock: Clock,
    state: Mutex<State>,
}

/// A fetch: its task, and what those wait on who need it.
struct Fetch {
    task: AbortHandle,
    ended: Shared<BoxFuture<'static, ()>>,
}

#[derive(Default)]
struct State {
    /// The last good set, and when it came. An outage does not take it away.
    good: Option<(KeySet, Timestamp)>,
    /// When the last fetch failed, if it did.
    failed_at: Option<Timestamp>,
    /// When the provider was last asked for the sake of an unknown key.
    unknown_at: Option<Timestamp>,
    /// The last fetch.
    fetch: Option<Fetch>,
}

/// No key to verify a token with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoKey {
    /// The provider has none that suits it.
    Refused,
    /// Whether it has cannot be told: it does not answer.
    Unavailable {
        /// When it will be asked again.
        retry_after: Duration,
    },
}

impl Keys {
    /// Of the provider that publishes them here.
    pub fn new(url: &Url, clock: Clock) -> Result<Self, ProviderError> {
        Ok(Self(Arc::new(Inner {
            provider: Provider::new(url)?,
            clock,
            state: Mutex::default(),
        })))
    }

    /// Whether any have come yet, however old.
    pub fn are_there(&self) -> bool {
        self.state().good.is_some()
    }

    /// Fetches them in the background, if none are there or they are old.
    pub fn fetch(&self) {
        let (mut state, now) = (self.state(), self.0.clock.now());
        if state.are_old(now) && state.may_fetch(now) {
            self.start_fetch(&mut state);
        }
    }

    /// The key that must have signed a token whose header says this.
    pub async fn find(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<DecodingKey, NoKey> {
        let fetch = {
            let (mut state, now) = (self.state(), self.0.clock.now());
            let found = state.find(kid, algorithm);
            let (old, is_unknown) = (state.are_old(now), matches!(found, Found::Unknown));
            let needed = old || (is_unknown && state.may_ask_for_unknown(now));
            if needed && state.may_fetch(now) {
                self.start_fetch(&mut state);
                if is_unknown && state.good.is_some() {
                    state.unknown_at = Some(now);
                }
            }
            match found {
                Found::Key(key) if !old || state.failed_at.is_some() => return Ok(key),
                Found::Unsuitable if !old => return Err(NoKey::Refused),
                _ => state.fetch_under_way(),
            }
        };
        let waited = fetch.is_some();
        if let Some(fetch) = fetch {
            fetch.await;
        }

        let (mut state, now) = (self.state(), self.0.clock.now());
        match state.find(kid, algorithm) {
            Found::Key(key) => Ok(key),
            Found::Unknown if state.good.is_none() || state.failed_at.is_some() => {
                let failed_at = state.failed_at.unwrap_or(now);
                let retry_after = remaining(state.pause(), failed_at, now);
                Err(NoKey::Unavailable { retry_after })
            }
            Found::Unknown => {
                if waited {
                    state.unknown_at = Some(now); // it was asked just now
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
                tracing::info!(count, "fetched the identity provider's keys");
                state.good = Some((keys, now));
                state.failed_at = None;
            }
            Err(error) => {
                let kept = state.good.as_ref().map_or(0, |(keys, _)| keys.len());
                tracing::warn!(%error, kept, "the identity provider's keys could not be fetched");
                state.failed_at = Some(now);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is one assignment: a panic leaves nothing half-done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Found {
        let keys = self.good.as_ref().map(|(keys, _)| keys);
        keys.map_or(Found::Unknown, |keys| keys.find(kid, algorithm))
    }

    fn are_old(&self, now: Timestamp) -> bool {
        let fetched_at = self.good.as_ref().map(|(_, at)| *at);
        is_over(MAX_AGE, fetched_at, now)
    }

    fn may_ask_for_unknown(&self, now: Timestamp) -> bool {
        is_over(UNKNOWN_KEY_PAUSE, self.unknown_at, now)
    }

    fn may_fetch(&self, now: Timestamp) -> bool {
        self.fetch_under_way().is_none() && is_over(self.pause(), self.failed_at, now)
    }

    /// How long the provider is left alone after a failed fetch.
    fn pause(&self) -> Duration {
        match self.good {
            Some(_) => FAILURE_PAUSE,
            None => FIRST_KEYS_PAUSE,
        }
    }

    /// The end of the fetch that is under way, if one is.
    fn fetch_under_way(&self) -> Option<Shared<BoxFuture<'static, ()>>> {
        let fetch = self.fetch.as_ref();
        let fetch = fetch.filter(|fetch| !fetch.task.is_finished());
        fetch.map(|fetch| fetch.ended.clone())
    }
}

/// Whether so much time has passed. A clock that was set back is believed: what
/// seems to lie far ahead is long ago.
fn is_over(period: Duration, since: Option<Timestamp>, now: Timestamp) -> bool {
    since.is_none_or(|since| now.since(since).max(since.since(now)) >= period)
}

/// What is left of the period, and a second at least.
fn remaining(period: Duration, since: Timestamp, now: Timestamp) -> Duration {
    let left = period.saturating_sub(now.since(since));
    left.max(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_over_at_its_end_or_when_the_clock_was_set_back_by_as_much() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let minute = Duration::from_mins(1);
        assert!(is_over(minute, None, at(0)));
        for (now, over) in [
            (100, false),
            (159, false),
            (160, true),
            (99, false),
            (40, true),
        ] {
            assert_eq!(is_over(minute, Some(at(100)), at(now)), over, "{now}");
        }
        assert_eq!(remaining(minute, at(100), at(110)), Duration::from_secs(50));
        assert_eq!(remaining(minute, at(100), at(160)), Duration::from_secs(1));
    }
}
