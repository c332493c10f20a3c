//! The open connections of a server, and their limit.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::listener::Trouble;
use crate::metrics::ConnectionMetrics;

/// The time after which a new connection looks again for an idle one to replace.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The connections of a server. Once there are as many as allowed, each new
/// connection replaces an idle one: a client that holds connections without using
/// them keeps nobody else out.
pub(super) struct Connections {
    room: Arc<Semaphore>,
    /// The connections that no request runs on, the first to be replaced first.
    idle: Mutex<BTreeMap<Rank, CancellationToken>>,
    /// Cancelled to close all connections at once.
    abort: CancellationToken,
    issued: AtomicU64,
    full: Mutex<Trouble>,
    pub(super) metrics: ConnectionMetrics,
}

/// The order in which idle connections are replaced: those that were never used come
/// first, then those that have been idle for longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    was_used: bool,
    since: Instant,
    id: u64,
}

impl Connections {
    pub(super) fn new(limit: usize, listener: &'static str) -> Arc<Self> {
        Arc::new(Self {
            room: Arc::new(Semaphore::new(limit)),
            idle: Mutex::default(),
            abort: CancellationToken::new(),
            issued: AtomicU64::new(0),
            full: Mutex::default(),
            metrics: ConnectionMetrics::of(listener),
        })
    }

    /// Waits until there is room for another connection. If there is none, the first
    /// of the idle connections is closed.
    pub(super) async fn admit(self: &Arc<Self>) -> Slot {
        let mut is_full = false;
        let room = loop {
            if let Ok(room) = Arc::clone(&self.room).try_acquire_owned() {
                break room;
            }
            if !std::mem::replace(&mut is_full, true) {
                self.metrics.full.inc();
            }
            locked(&self.full).log(|| {
                tracing::warn!("as many connections are open as allowed; idle ones are replaced");
            });
            self.evict_one();
            let freed = Arc::clone(&self.room).acquire_owned();
            if let Ok(Ok(room)) = timeout(LOOK_AGAIN, freed).await {
                break room;
            }
        };
        let mut slot = Slot {
            id: self.issued.fetch_add(1, Ordering::Relaxed),
            close: self.abort.child_token(),
            connections: Arc::clone(self),
            rank: None,
            was_used: false,
            _room: room,
        };
        self.metrics.open.inc();
        slot.is_idle();
        slot
    }

    /// Closes the first of the idle connections, if there is one.
    pub(super) fn evict_one(&self) {
        if let Some((_, close)) = locked(&self.idle).pop_first() {
            close.cancel();
        }
    }

    /// Closes all connections at once.
    pub(super) fn abort(&self) {
        self.abort.cancel();
    }
}

/// The place of one connection among the others. Dropping it makes room for another.
pub(super) struct Slot {
    connections: Arc<Connections>,
    /// The entry among the idle connections; `None` while a request runs.
    rank: Option<Rank>,
    was_used: bool,
    id: u64,
    close: CancellationToken,
    _room: OwnedSemaphorePermit,
}

impl Slot {
    /// Returns a token that is cancelled when the connection must close at once.
    pub(super) fn must_close(&self) -> CancellationToken {
        self.close.clone()
    }

    /// Records that no request runs on the connection any more.
    pub(super) fn is_idle(&mut self) {
        let rank = Rank {
            was_used: self.was_used,
            since: Instant::now(),
            id: self.id,
        };
        self.rank = Some(rank);
        locked(&self.connections.idle).insert(rank, self.close.clone());
    }

    /// Records that a request runs on the connection.
    pub(super) fn is_busy(&mut self) {
        self.was_used = true;
        if let Some(rank) = self.rank.take() {
            locked(&self.connections.idle).remove(&rank);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.is_busy(); // leaves the idle connections
        self.connections.metrics.open.dec();
    }
}

/// Locks a mutex of this file. Each change is one call, so a panic leaves what it
/// guards consistent.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_new_connection_replaces_the_one_that_was_never_used_or_is_idle_for_longest() {
        let connections = Connections::new(3, "test");
        let mut used = connections.admit().await;
        used.is_busy();
        used.is_idle();
        let unused = connections.admit().await;
        let mut busy = connections.admit().await;
        busy.is_busy();

        let admit = {
            let connections = Arc::clone(&connections);
            tokio::spawn(async move { connections.admit().await })
        };
        unused.must_close().cancelled().await;
        assert!(!used.must_close().is_cancelled() && !busy.must_close().is_cancelled());
        drop(unused);
        let mut newest = admit.await.unwrap();
        newest.is_busy();
        newest.is_idle();

        connections.evict_one();
        assert!(used.must_close().is_cancelled() && !newest.must_close().is_cancelled());
        connections.evict_one();
        connections.evict_one();
        assert!(newest.must_close().is_cancelled() && !busy.must_close().is_cancelled());
    }

    #[tokio::test]
    async fn a_connection_that_becomes_idle_later_makes_room_too() {
        let connections = Connections::new(1, "test");
        let mut first = connections.admit().await;
        first.is_busy();
        let second = {
            let connections = Arc::clone(&connections);
            tokio::spawn(async move { connections.admit().await })
        };
        tokio::time::sleep(LOOK_AGAIN).await;
        assert!(!second.is_finished() && !first.must_close().is_cancelled());
        first.is_idle();
        first.must_close().cancelled().await;
        drop(first);
        second.await.unwrap();
    }
}
