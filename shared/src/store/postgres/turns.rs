//! The changes of an account's keys take turns within this process, before they take a
//! connection.
//!
//! In the database they wait for each other anyway, but each with a connection of the pool: the
//! requests of one account would take all connections from the other accounts.

use std::hash::{BuildHasher, RandomState};
use std::iter::repeat_with;
use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::ids::AccountId;

/// The number of queues. Accounts in the same queue wait for each other too: it is large
/// enough to make that rare.
const QUEUES: usize = 256;

/// The queues in which accounts wait for their turn. Clones share them.
#[derive(Clone)]
pub(super) struct Turns {
    queues: Arc<[Arc<Mutex<()>>]>,
    /// It has a random key, so nobody can choose accounts that are in the same queue.
    hasher: RandomState,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self {
            queues: repeat_with(Arc::default).take(QUEUES).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Waits for the account's turn, which lasts until the guard is dropped.
    pub(super) async fn of(&self, account: &AccountId) -> OwnedMutexGuard<()> {
        let hash = self.hasher.hash_one(account.as_str());
        let queue = hash % self.queues.len() as u64;
        let queue = &self.queues[usize::try_from(queue).unwrap_or_default()];
        Arc::clone(queue).lock_owned().await
    }
}
