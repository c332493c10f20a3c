//! The state that all requests share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::applications::Applications;
use super::calls::Calls;
use super::connection::Resets;
use super::endpoints::Endpoints;
use super::faults::Faults;
use super::sessions::Sessions;

pub(super) struct State {
    /// The only token that is accepted. `None`: any token that is not empty.
    pub(super) token: Mutex<Option<String>>,
    pub(super) applications: Applications,
    pub(super) calls: Calls,
    pub(super) faults: Faults,
    pub(super) sessions: Sessions,
    pub(super) endpoints: Endpoints,
    pub(super) resets: Arc<Resets>,
    /// `http` or `https`.
    pub(super) scheme: &'static str,
}

/// Locks `mutex`, even if a thread panicked while it held the lock. The data is
/// valid at every point where a panic is possible.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
