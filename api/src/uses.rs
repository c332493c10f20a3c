//! The times at which keys were last used. Checks only leave a mark in memory, and all marks are
//! written together every two seconds, so no check waits for a write. A crash loses what is not
//! written yet: the marks of two seconds, or of an outage of the database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared::clock::Timestamp;
use shared::ids::KeyId;
use shared::store::{FoundKey, Store, StoredKey};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// The precision of `last_used_at`. It spares the database a write at each use.
const PRECISION: Duration = Duration::from_mins(1);

/// The time between two writes.
const INTERVAL: Duration = Duration::from_secs(2);

/// The number of marks that are kept at most, should the database be down for long. Then
/// uses of further keys are not recorded.
const MAX_MARKS: usize = 100_000;

/// The number of marks that one statement writes at most. It takes a small part of the time
/// that a statement may take; after an outage, all marks in one statement would not.
const BATCH: usize = 5_000;

/// The uses that are not written yet.
pub struct Uses {
    store: Arc<dyn Store>,
    marks: Mutex<HashMap<KeyId, Timestamp>>,
}

impl Uses {
    /// Creates an empty record. Nothing is written until [`Uses::write_until`] runs.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            marks: Mutex::default(),
        }
    }

    /// Records that the key is used now, unless that is known to the minute.
    pub fn record(&self, key: &FoundKey, now: Timestamp) {
        let is_known = key.last_used_at.is_some_and(|at| now.since(at) < PRECISION);
        let mut marks = self.marks();
        if !is_known && (marks.len() < MAX_MARKS || marks.contains_key(&key.id)) {
            let mark = marks.entry(key.id).or_insert(now);
            *mark = now.max(*mark);
        }
    }

    /// Writes the marks every few seconds until `shutdown`, and once more after it. A write that
    /// was running then may lack the latest marks.
    pub async fn write_until(&self, shutdown: CancellationToken) {
        while let Some(()) = shutdown.run_until_cancelled(sleep(INTERVAL)).await {
            self.write().await;
        }
        self.write().await;
    }

    /// Returns the time of the key's last use, also if it is not written yet.
    pub fn last_use(&self, key: &StoredKey) -> Option<Timestamp> {
        let mark = self.marks().get(&key.id).copied();
        mark.max(key.last_used_at)
    }

    /// Writes all marks. Each stays until it is written, so a failure loses none.
    async fn write(&self) {
        let mut uses: Vec<(KeyId, Timestamp)> =
            self.marks().iter().map(|(id, at)| (*id, *at)).collect();
        if uses.is_empty() {
            return;
        }
        uses.sort_unstable(); // so that two processes lock the rows in the same order
        for batch in uses.chunks(BATCH) {
            if let Err(error) = self.store.touch_keys(batch).await {
                let count = self.marks().len();
                tracing::warn!(%error, count, "the uses of keys are not written yet");
                return;
            }
            let mut marks = self.marks();
            for (id, at) in batch {
                if marks.get(id) == Some(at) {
                    marks.remove(id);
                }
            }
        }
    }

    fn marks(&self) -> MutexGuard<'_, HashMap<KeyId, Timestamp>> {
        // Each mark is complete in itself, so a panic leaves them consistent.
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
