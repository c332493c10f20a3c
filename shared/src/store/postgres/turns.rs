//! The changes of an account's keys take turns within this process, before they take a
//! connection.
//!
//! In the database they wait for each other anyway, but each with a connection of the pool: the
//! requests of one account would take all connections from the other accounts.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout;

use super::pool::LOCK_TIMEOUT;
use crate::ids::AccountId;
use crate::store::DEADLINE;

/// The time for which a change waits for its turn. Whoever has the turn has time left for a lock
/// in the database: a change that was given up while it waited there would keep its connection.
const WAIT: Duration = DEADLINE
    .saturating_sub(LOCK_TIMEOUT)
    .saturating_sub(Duration::from_millis(200));

type Queue = Arc<tokio::sync::Mutex<()>>;

/// The accounts whose keys are being changed. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Mutex<HashMap<AccountId, Queue>>>);

impl Turns {
    /// Waits for the account's turn, which lasts until it is dropped. Fails if it takes too long.
    pub(super) async fn of(&self, account: &AccountId) -> sqlx::Result<Turn> {
        let queue = Arc::clone(self.queues().entry(account.clone()).or_default());
        let mut turn = Turn {
            turns: self.clone(),
            account: account.clone(),
            queue: Arc::clone(&queue),
            is_ours: None,
        };
        let is_ours = timeout(WAIT, queue.lock_owned()).await;
        turn.is_ours = Some(is_ours.map_err(|_elapsed| sqlx::Error::PoolTimedOut)?);
        Ok(turn)
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<AccountId, Queue>> {
        // Each change is one call, so a panic leaves the map consistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An account's turn, or the wait for it.
pub(super) struct Turn {
    turns: Turns,
    account: AccountId,
    queue: Queue,
    is_ours: Option<OwnedMutexGuard<()>>,
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Turn(…)")
    }
}

impl Drop for Turn {
    /// Lets the next one have its turn, or forgets the account if there is none.
    fn drop(&mut self) {
        self.is_ours = None;
        let mut queues = self.turns.queues();
        // The map has the queue, and so have we.
        if Arc::strong_count(&self.queue) == 2 {
            queues.remove(&self.account);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_account_has_one_turn_at_a_time_and_is_forgotten_after_the_last() {
        let turns = Turns::default();
        let [one, other] = ["one", "other"].map(|name| AccountId::parse(name).unwrap());
        let first = turns.of(&one).await.unwrap();
        turns.of(&other).await.unwrap();
        let mut second = Box::pin(turns.of(&one));
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        let second = second.await.unwrap();
        let third = turns.of(&one).await;
        assert!(third.is_err(), "nobody waits forever");
        assert_eq!(turns.queues().len(), 1);
        drop(second);
        assert!(turns.queues().is_empty());
    }
}
