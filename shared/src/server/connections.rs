//! The open connections of a server, and their limit.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::listener::Trouble;
use crate::metrics::ConnectionMetrics;

/// The time after which a new connection looks again for an idle one to replace.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The time for which an idle connection is not replaced: a request may be on its way.
const GRACE: Duration = LOOK_AGAIN;

/// The connections of a server. Once there are as many as allowed, each new
/// connection replaces an idle one: a client that holds connections without using
/// them keeps nobody else out. If none is idle, the next answer on any of them is its last.
pub(super) struct Connections {
    room: Arc<Semaphore>,
    /// The connections that no request runs on, the first to be replaced first.
    idle: Mutex<Idle>,
    /// True while a new connection waits for room and no other one has given way yet.
    is_wanted: AtomicBool,
    /// Cancelled to close all connections at once.
    abort: CancellationToken,
    issued: AtomicU64,
    full: Mutex<Trouble>,
    pub(super) metrics: ConnectionMetrics,
}

/// The idle connections. Those that were never used are replaced first.
#[derive(Default)]
struct Idle {
    unused: BTreeMap<Rank, CancellationToken>,
    used: BTreeMap<Rank, CancellationToken>,
}

/// The order in which idle connections are replaced: those that have been idle for longest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    since: Instant,
    id: u64,
}

impl Idle {
    fn of(&mut self, was_used: bool) -> &mut BTreeMap<Rank, CancellationToken> {
        if was_used {
            &mut self.used
        } else {
            &mut self.unused
        }
    }

    fn take_first(&mut self) -> Option<CancellationToken> {
        [&mut self.unused, &mut self.used]
            .into_iter()
            .find_map(|connections| {
                let first = connections.first_entry()?;
                (first.key().since.elapsed() >= GRACE).then(|| first.remove())
            })
    }
}

impl Connections {
    pub(super) fn new(limit: usize, listener: &'static str) -> Arc<Self> {
        Arc::new(Self {
            room: Arc::new(Semaphore::new(limit)),
            idle: Mutex::default(),
            is_wanted: AtomicBool::new(false),
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
            self.is_wanted.store(true, Ordering::Relaxed);
            self.evict_one();
            let freed = Arc::clone(&self.room).acquire_owned();
            if let Ok(Ok(room)) = timeout(LOOK_AGAIN, freed).await {
                break room;
            }
        };
        self.is_wanted.store(false, Ordering::Relaxed);
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

    /// Closes the first of the connections that have been idle for [`GRACE`], if there is one.
    pub(super) fn evict_one(&self) {
        if let Some(close) = locked(&self.idle).take_first() {
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
            since: Instant::now(),
            id: self.id,
        };
        self.rank = Some(rank);
        let mut idle = locked(&self.connections.idle);
        idle.of(self.was_used).insert(rank, self.close.clone());
    }

    /// Records that a request runs on the connection.
    pub(super) fn is_busy(&mut self) {
        if let Some(rank) = self.rank.take() {
            let mut idle = locked(&self.connections.idle);
            idle.of(self.was_used).remove(&rank);
        }
        self.was_used = true;
    }

    /// Returns whether the connection should end after its answer, because a new one waits. While
    /// one waits, another connection is told so each [`LOOK_AGAIN`] at most.
    pub(super) fn gives_way(&self) -> bool {
        let is_wanted = &self.connections.is_wanted;
        is_wanted.load(Ordering::Relaxed) && is_wanted.swap(false, Ordering::Relaxed)
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
    use tokio::task::JoinHandle;
    use tokio::time::sleep;

    use super::*;

    fn admit(connections: &Arc<Connections>) -> JoinHandle<Slot> {
        let connections = Arc::clone(connections);
        tokio::spawn(async move { connections.admit().await })
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_connection_replaces_the_one_that_was_never_used_or_is_idle_for_longest() {
        let connections = Connections::new(3, "test");
        let mut used = connections.admit().await;
        used.is_busy();
        used.is_idle();
        let unused = connections.admit().await;
        let mut busy = connections.admit().await;
        busy.is_busy();
        sleep(GRACE).await;

        let admitting = admit(&connections);
        unused.must_close().cancelled().await;
        assert!(!used.must_close().is_cancelled() && !busy.must_close().is_cancelled());
        drop(unused);
        let mut newest = admitting.await.unwrap();
        newest.is_busy();
        sleep(GRACE).await;
        newest.is_idle();
        sleep(GRACE).await;

        connections.evict_one();
        assert!(used.must_close().is_cancelled() && !newest.must_close().is_cancelled());
        connections.evict_one();
        connections.evict_one();
        assert!(newest.must_close().is_cancelled() && !busy.must_close().is_cancelled());
    }

    /// Its request may be in the socket already.
    #[tokio::test(start_paused = true)]
    async fn a_connection_that_has_just_come_or_was_just_used_is_not_replaced() {
        let connections = Connections::new(2, "test");
        let unused = connections.admit().await;
        let mut used = connections.admit().await;
        used.is_busy();
        used.is_idle();
        connections.evict_one();
        assert!(!unused.must_close().is_cancelled() && !used.must_close().is_cancelled());
        sleep(GRACE).await;
        connections.evict_one();
        assert!(unused.must_close().is_cancelled() && !used.must_close().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn one_busy_connection_gives_way_to_one_that_waits() {
        let connections = Connections::new(2, "test");
        let [mut first, mut second] = [connections.admit().await, connections.admit().await];
        first.is_busy();
        second.is_busy();
        assert!(!first.gives_way() && !second.gives_way());
        let admitting = admit(&connections);
        tokio::task::yield_now().await;
        assert!(first.gives_way() && !second.gives_way());
        drop(first);
        let third = admitting.await.unwrap();
        assert!(!second.gives_way() && !third.gives_way());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_becomes_idle_later_makes_room_too() {
        let connections = Connections::new(1, "test");
        let mut first = connections.admit().await;
        first.is_busy();
        let second = admit(&connections);
        sleep(LOOK_AGAIN).await;
        assert!(!second.is_finished() && !first.must_close().is_cancelled());
        first.is_idle();
        first.must_close().cancelled().await;
        drop(first);
        second.await.unwrap();
    }
}
