//! Public keys that another service publishes, such as an identity provider. They are cached,
//! and fetched again when they are old, or when a message names a key that is not among them.
//!
//! A fetch is a separate task. There is at most one, all requests that need it wait
//! for it, and it goes on if their clients disconnect.

mod publisher;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use shared::clock::{Clock, Timestamp};
use tokio::task::AbortHandle;
use url::Url;

use publisher::Publisher;
pub use publisher::{ClientError, FetchError};

/// A set of public keys, in the format of its publisher.
pub trait KeySet: Sized + Send + 'static {
    /// The name of a key, as a signed message gives it.
    type Name<'a>: Copy + Send;
    /// A public key.
    type Key: Send;

    /// The publisher, as log lines name it.
    const PUBLISHER: &'static str;

    /// The format of the document, as errors name it.
    const FORMAT: &'static str;

    /// The age at which keys are fetched again. A key that the publisher has withdrawn is
    /// believed for this long, and longer while the publisher cannot be reached.
    const MAX_AGE: Duration;

    /// Reads the keys that can be used. Returns `None` if the document is not a set of keys. A
    /// set without keys is one: its publisher has withdrawn them all.
    fn parse(document: &[u8]) -> Option<Self>;

    /// Returns the number of keys.
    fn len(&self) -> usize;

    /// Finds the key with this name.
    fn find(&self, name: Self::Name<'_>) -> Found<Self::Key>;
}

/// The result of looking for a key.
#[derive(Debug)]
pub enum Found<K> {
    /// The key that must have signed the message.
    Key(K),
    /// The key with this name cannot have signed it, or the message names no key and there
    /// are several.
    Unsuitable,
    /// There is no key with this name. The publisher may have a new one.
    Unknown,
}

/// The shortest time between two fetches because of unknown keys: anybody can
/// send messages that name unknown keys.
const UNKNOWN_KEY_PAUSE: Duration = Duration::from_secs(30);

/// The time without fetches after one has failed, while older keys can be used.
const FAILURE_PAUSE: Duration = Duration::from_secs(30);

/// The time without fetches after one has failed, while there are no keys and no
/// message can be verified.
const FIRST_KEYS_PAUSE: Duration = Duration::from_secs(5);

/// The cached keys of a publisher.
pub struct PublishedKeys<S>(Arc<Inner<S>>);

struct Inner<S> {
    publisher: Publisher,
    clock: Clock,
    state: Mutex<State<S>>,
}

/// A fetch: its task, and a future for those who wait for its end.
struct Fetch {
    task: AbortHandle,
    ended: Shared<BoxFuture<'static, ()>>,
}

struct State<S> {
    /// The last keys that were fetched, and when. A failed fetch keeps them.
    cached: Option<(S, Timestamp)>,
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

/// The reason why a message cannot be verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoKey {
    /// The publisher has no suitable key.
    Refused,
    /// The publisher does not answer, so it is unknown whether it has the key.
    Unavailable {
        /// The time until the next fetch.
        retry_after: Duration,
    },
}

impl<S: KeySet> PublishedKeys<S> {
    /// Creates an empty cache of the keys at `url`. Keys that are older than `max_stale` are
    /// not used.
    pub fn new(url: &Url, max_stale: Duration, clock: Clock) -> Result<Self, ClientError> {
        let state = State {
            cached: None,
            max_stale,
            failed_at: None,
            unknown_key_at: None,
            fetch: None,
        };
        Ok(Self(Arc::new(Inner {
            publisher: Publisher::new(url)?,
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

    /// Returns the key with this name. Waits for a fetch if that may give the key.
    pub async fn find(&self, name: S::Name<'_>) -> Result<S::Key, NoKey> {
        let fetch = {
            let (mut state, now) = (self.state(), self.0.clock.now());
            let found = state.find(name, now);
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
        match state.find(name, now) {
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

    fn start_fetch(&self, state: &mut State<S>) {
        let inner = Arc::clone(&self.0);
        let task = tokio::spawn(async move { inner.fetch().await });
        state.fetch = Some(Fetch {
            task: task.abort_handle(),
            ended: task.map(|_ended| ()).boxed().shared(),
        });
    }

    fn state(&self) -> MutexGuard<'_, State<S>> {
        self.0.state()
    }
}

/// Fetches the keys at `url` once. Returns how many of them can be used.
pub async fn count<S: KeySet>(url: &Url) -> Result<usize, FetchError> {
    let publisher = Publisher::new(url).map_err(|error| error.0)?;
    Ok(publisher.fetch::<S>().await?.len())
}

impl<S: KeySet> Inner<S> {
    async fn fetch(&self) {
        let publisher = S::PUBLISHER;
        let fetched = self.publisher.fetch::<S>().await;
        let (mut state, now) = (self.state(), self.clock.now());
        match fetched {
            Ok(keys) => {
                let count = keys.len();
                if count == 0 {
                    tracing::warn!("{publisher} publishes no key that can be used");
                } else {
                    tracing::info!(count, "fetched {publisher}'s keys");
                }
                state.cached = Some((keys, now));
                state.failed_at = None;
            }
            Err(error) => {
                let kept = state.cached.as_ref().map_or(0, |(keys, _)| keys.len());
                tracing::warn!(%error, kept, "{publisher}'s keys could not be fetched");
                state.failed_at = Some(now);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State<S>> {
        // Each change is one assignment, so a panic leaves the state consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: KeySet> State<S> {
    /// Returns the keys, unless they are too old.
    fn usable(&self, now: Timestamp) -> Option<&S> {
        let cached = self.cached.as_ref();
        let usable = cached.filter(|(_, at)| !has_passed(self.max_stale, Some(*at), now));
        usable.map(|(keys, _)| keys)
    }

    fn find(&self, name: S::Name<'_>, now: Timestamp) -> Found<S::Key> {
        let keys = self.usable(now);
        keys.map_or(Found::Unknown, |keys| keys.find(name))
    }

    /// Returns whether there are no keys, or they are older than [`KeySet::MAX_AGE`].
    fn is_stale(&self, now: Timestamp) -> bool {
        let fetched_at = self.cached.as_ref().map(|(_, at)| *at);
        has_passed(S::MAX_AGE, fetched_at, now)
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
