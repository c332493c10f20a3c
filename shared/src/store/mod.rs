//! Storage: the row is the truth.
//!
//! [`Store`] is everything the product asks of a database. PostgreSQL and
//! SQLite implement it ([`PostgresStore`], [`SqliteStore`]), and one conformance
//! suite holds both to the same behaviour. Times are always the caller's, taken
//! from its [`Clock`](crate::clock::Clock).

mod error;
mod postgres;
mod records;
mod sql;
mod sqlite;
mod timestamp;

use async_trait::async_trait;

pub use error::StoreError;
pub use postgres::PostgresStore;
pub use records::{
    Backlog, Claim, DeadLetter, Job, NewKey, Outcome, Rearm, Revoked, StoredKey, WebhookState,
};
pub use sqlite::SqliteStore;

use crate::clock::Timestamp;
use crate::ids::{AccountId, KeyId};
use crate::secret_hash::SecretHash;

/// How long the database may take for a statement before the call fails as
/// [`StoreError::TimedOut`]. Two of them, as many as an operation makes, stay short
/// of the 5 s that a client is ever kept waiting for a database.
pub(crate) const DEADLINE: std::time::Duration = std::time::Duration::from_millis(2400);

/// The database, as the product sees it.
///
/// Every method is one statement, so each either happened or did not.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Stores a key and, in the same row, the work to provision it, due at once.
    /// False if the account already has an active key; nothing was stored then.
    async fn insert_key(&self, key: &NewKey) -> Result<bool, StoreError>;

    /// The account's active key.
    async fn active_key(&self, account: &AccountId) -> Result<Option<StoredKey>, StoreError>;

    /// The active key with this hash.
    async fn key_by_hash(&self, hash: &SecretHash) -> Result<Option<StoredKey>, StoreError>;

    /// Makes the account's key inactive and drops its work. The row stays, for
    /// audit. `None` if there was no active key.
    async fn revoke_key(
        &self,
        account: &AccountId,
        now: Timestamp,
    ) -> Result<Option<Revoked>, StoreError>;

    /// Notes that the key was used.
    async fn touch_key(&self, id: KeyId, now: Timestamp) -> Result<(), StoreError>;

    /// The oldest `limit` rows whose next attempt is due, expired leases among
    /// them, as jobs to send.
    async fn due(&self, now: Timestamp, limit: i64) -> Result<Vec<Job>, StoreError>;

    /// Claims the attempt that a job names, until `lease_end`. Of any number of
    /// copies of a job one gets the claim; `None` means there is nothing to do.
    async fn claim(&self, job: Job, lease_end: Timestamp) -> Result<Option<Claim>, StoreError>;

    /// Writes what became of a claimed attempt. False, and nothing written, if
    /// the claim is no longer the newest or the key was revoked.
    async fn finish(&self, claim: &Claim, outcome: &Outcome) -> Result<bool, StoreError>;

    /// Makes the work of an active key due again with a fresh retry budget, whose
    /// application is gone from Svix. The job to send, or `None` if it was not
    /// provisioned.
    async fn reprovision(&self, id: KeyId, now: Timestamp) -> Result<Option<Job>, StoreError>;

    /// Makes work of active keys due again with a fresh retry budget; the jobs to
    /// send, `limit` at most. Repeated until it gives none, it has done all.
    async fn rearm(&self, which: Rearm, now: Timestamp, limit: i64)
    -> Result<Vec<Job>, StoreError>;

    /// How much work there is, by state.
    async fn backlog(&self, now: Timestamp) -> Result<Backlog, StoreError>;

    /// The oldest `limit` dead letters.
    async fn dead_letters(&self, limit: i64) -> Result<Vec<DeadLetter>, StoreError>;

    /// Stores a session.
    async fn insert_session(
        &self,
        token: &SecretHash,
        account: &AccountId,
        now: Timestamp,
        expires: Timestamp,
    ) -> Result<(), StoreError>;

    /// The account of a session that is neither expired nor revoked.
    async fn session_account(
        &self,
        token: &SecretHash,
        now: Timestamp,
    ) -> Result<Option<AccountId>, StoreError>;

    /// Brings the schema up to date. Safe to run from several processes at once.
    async fn migrate(&self) -> Result<(), StoreError>;

    /// Answers if the database does and its schema is there.
    async fn ping(&self) -> Result<(), StoreError>;
}
