//! Storage: the row is the truth.
//!
//! [`Store`] is everything that the service asks of a database. PostgreSQL and SQLite
//! implement it ([`PostgresStore`], [`SqliteStore`]), and one conformance suite checks
//! that both behave the same. Callers pass in all times, which they take from their
//! [`Clock`](crate::clock::Clock).

mod error;
mod events;
mod impl_store;
mod job;
mod postgres;
mod records;
mod sql;
mod sqlite;
pub mod sqlite_file;
mod timestamp;
mod work;

use async_trait::async_trait;
use sqlx::migrate::Migrator;

pub use error::StoreError;
pub use events::{Actor, EventKind, KeyEvent, Origin, Revocation, RevocationReason};
pub use job::Job;
pub(crate) use postgres::MIGRATOR as POSTGRES_MIGRATIONS;
pub use postgres::PostgresStore;
pub use records::{
    AccountKeys, Canceled, FoundKey, KeyFilter, KeyOfRequest, ListedKey, ListedSession, NewKey,
    Revoked, SessionKeys, Started, StoredKey, WebhookState,
};
pub use sqlite::SqliteStore;
pub use work::{Backlog, Claim, DeadLetter, Outcome, Rearm, Work};

use crate::clock::Timestamp;
use crate::ids::{AccountId, KeyId};
use crate::metrics::PoolUse;
use crate::secret_hash::SecretHash;

/// The time limit for a statement or a transaction, after which the call fails with
/// [`StoreError::TimedOut`]. Most operations call the store once or twice, so a client
/// seldom waits for more than 5 s for a database. A creation that is repeated calls it three times,
/// and a report of leaked keys once or twice for each key.
pub(crate) const DEADLINE: std::time::Duration = std::time::Duration::from_millis(2400);

/// The reason for errors that only a pooler in transaction mode causes, and what to do.
const BEHIND_POOLER: &str = "DATABASE_URL seems to name a pooler in transaction mode: set \
                             DATABASE_POOLER=transaction, or connect to PostgreSQL directly, \
                             and restart";

/// Makes a migrator accept a schema that has later migrations than it knows: that of the release
/// from which an operator goes back. A migration that it knows must still be the one that was
/// run, and none may have failed half-way.
fn accepts_newer(mut migrator: Migrator) -> Migrator {
    migrator.set_ignore_missing(true);
    migrator
}

/// The database, as the service uses it.
///
/// Every method is one statement or one transaction, so it either happened completely or
/// not at all. What changes a key also records it in the audit trail.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Stores a key and, in the same row, the work to provision it, due at once.
    /// Returns false, and stores nothing, if the account already has an active key, or if
    /// [`Store::key_of_request`] would return a key.
    async fn insert_key(&self, key: &NewKey, origin: &Origin) -> Result<bool, StoreError>;

    /// Returns the key that the account created by a request with this idempotency hash,
    /// also if the key was revoked since.
    async fn key_of_request(
        &self,
        account: &AccountId,
        idempotency_hash: &SecretHash,
    ) -> Result<Option<KeyOfRequest>, StoreError>;

    /// Returns the account's active key, and the key that it has replaced.
    async fn keys_of(&self, account: &AccountId) -> Result<AccountKeys, StoreError>;

    /// Returns the key with this hash, if it works at this time.
    async fn key_by_hash(
        &self,
        hash: &SecretHash,
        now: Timestamp,
    ) -> Result<Option<FoundKey>, StoreError>;

    /// Ends the account's keys and drops their work. A key that could open the portal has
    /// new work: to end its portal sessions. The rows stay, for audit. Returns the keys that
    /// worked until then: none, the active one, or also the one that it has replaced.
    async fn revoke_keys(
        &self,
        account: &AccountId,
        now: Timestamp,
        origin: &Origin,
    ) -> Result<Vec<Revoked>, StoreError>;

    /// Stores a key that replaces the account's active key, which still works until `end`.
    /// The new key takes over the account's application at Svix, if there is one.
    async fn start_rotation(
        &self,
        key: &NewKey,
        end: Timestamp,
        origin: &Origin,
    ) -> Result<Started, StoreError>;

    /// Ends the key that the account's active key has replaced. Returns it if it worked
    /// until then.
    async fn finish_rotation(
        &self,
        account: &AccountId,
        now: Timestamp,
        origin: &Origin,
    ) -> Result<Option<Revoked>, StoreError>;

    /// Ends the account's active key, and makes the key that it has replaced the active one
    /// again, without end.
    async fn cancel_rotation(
        &self,
        account: &AccountId,
        now: Timestamp,
        origin: &Origin,
    ) -> Result<Canceled, StoreError>;

    /// Gives a key that was replaced before the account had an application at Svix that
    /// application, if the key works at this time and its successor has it. Returns the
    /// application's id.
    async fn adopt_application(
        &self,
        id: KeyId,
        now: Timestamp,
    ) -> Result<Option<String>, StoreError>;

    /// Ends the key with this id, as [`Store::revoke_keys`] does.
    async fn revoke_key_by_id(
        &self,
        id: KeyId,
        now: Timestamp,
        origin: &Origin,
    ) -> Result<Option<Revoked>, StoreError>;

    /// Returns whether a key has this hash, also if it was revoked since.
    async fn is_known(&self, hash: &SecretHash) -> Result<bool, StoreError>;

    /// Returns the last revocation of a key of the account.
    async fn last_revocation(&self, account: &AccountId) -> Result<Option<Revocation>, StoreError>;

    /// Returns the first `limit` keys for which the filter holds now and whose id is greater
    /// than `after`, in the order of their ids.
    async fn keys(
        &self,
        filter: &KeyFilter,
        now: Timestamp,
        after: KeyId,
        limit: i64,
    ) -> Result<Vec<ListedKey>, StoreError>;

    /// Records that a portal link is handed out for the key. Returns false, and records
    /// nothing, if the key does not work any more, or if the end of its portal sessions has
    /// begun.
    async fn record_portal_opened(
        &self,
        id: KeyId,
        now: Timestamp,
        origin: &Origin,
    ) -> Result<bool, StoreError>;

    /// Returns the newest `limit` events, of one account or of all.
    async fn events(
        &self,
        account: Option<&AccountId>,
        limit: i64,
    ) -> Result<Vec<KeyEvent>, StoreError>;

    /// Records the last uses of keys, sorted by id. A use that is earlier than the recorded
    /// one changes nothing.
    async fn touch_keys(&self, uses: &[(KeyId, Timestamp)]) -> Result<(), StoreError>;

    /// Returns jobs for the rows whose next attempt is due, including rows whose lease has
    /// expired: at most `limit`, the oldest first, after the oldest `skip`.
    async fn due(&self, now: Timestamp, skip: i64, limit: i64) -> Result<Vec<Job>, StoreError>;

    /// Claims the attempt that a job names, until `lease_end`. Of any number of copies
    /// of a job only one gets the claim, and another only if a crash of the database has lost
    /// it. Returns `None` if there is nothing to do, or not yet.
    async fn claim(
        &self,
        job: Job,
        now: Timestamp,
        lease_end: Timestamp,
    ) -> Result<Option<Claim>, StoreError>;

    /// Writes the outcome of a claimed attempt. Returns false, and writes nothing, if
    /// there is a newer claim, if the key was revoked, or if a crash of the database has lost
    /// the claim.
    async fn finish(
        &self,
        claim: &Claim,
        outcome: &Outcome,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Makes the work of the key's account due again, with a fresh retry budget, because
    /// the key's application was deleted at Svix. Returns the job to send, or `None` if
    /// the account's active key does not have that application.
    async fn reprovision(&self, id: KeyId, now: Timestamp) -> Result<Option<Job>, StoreError>;

    /// Makes work due again, with a fresh retry budget. Returns the jobs
    /// to send, at most `limit`. Call it until it returns an empty list.
    async fn rearm(&self, which: Rearm, now: Timestamp, limit: i64)
    -> Result<Vec<Job>, StoreError>;

    /// Counts the work, by state.
    async fn backlog(&self, now: Timestamp) -> Result<Backlog, StoreError> {
        self.backlog_up_to(now, i64::MAX).await
    }

    /// Counts the work, by state, but of each state at most `limit` rows: so it reads few
    /// rows, however long the backlog is.
    async fn backlog_up_to(&self, now: Timestamp, limit: i64) -> Result<Backlog, StoreError>;

    /// Returns the oldest `limit` dead letters.
    async fn dead_letters(&self, limit: i64) -> Result<Vec<DeadLetter>, StoreError>;

    /// Stores a session.
    async fn insert_session(
        &self,
        token: &SecretHash,
        account: &AccountId,
        now: Timestamp,
        expires: Timestamp,
    ) -> Result<(), StoreError>;

    /// Returns the account of a session, unless the session is expired or revoked.
    async fn session_account(
        &self,
        token: &SecretHash,
        now: Timestamp,
    ) -> Result<Option<AccountId>, StoreError>;

    /// Returns the account of a session with its keys, unless the session is expired or
    /// revoked: what [`Store::session_account`] and [`Store::keys_of`] return, at once.
    async fn keys_of_session(
        &self,
        token: &SecretHash,
        now: Timestamp,
    ) -> Result<Option<SessionKeys>, StoreError>;

    /// Returns the newest `limit` sessions that are valid, of one account or of all.
    async fn sessions(
        &self,
        account: Option<&AccountId>,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<ListedSession>, StoreError>;

    /// Revokes at most `limit` of the valid sessions of one account or of all. Returns how
    /// many it has found: fewer than `limit` only if no more were left.
    async fn revoke_sessions(
        &self,
        account: Option<&AccountId>,
        now: Timestamp,
        limit: i64,
    ) -> Result<u64, StoreError>;

    /// Counts the sessions that ended before `now`.
    async fn count_ended_sessions(&self, now: Timestamp) -> Result<i64, StoreError>;

    /// Deletes at most `limit` of the sessions that ended before `now`. Returns their
    /// number.
    async fn purge_sessions(&self, now: Timestamp, limit: i64) -> Result<u64, StoreError>;

    /// Counts the keys that were revoked before this time and have no work left.
    async fn count_revoked_keys(&self, before: Timestamp) -> Result<i64, StoreError>;

    /// Deletes at most `limit` of the keys that were revoked before this time and have no
    /// work left. Their events stay. Returns their number.
    async fn purge_keys(&self, before: Timestamp, limit: i64) -> Result<u64, StoreError>;

    /// Migrates the schema. Several processes may do so at the same time.
    async fn migrate(&self) -> Result<(), StoreError>;

    /// Returns how many connections to the database are open.
    fn pool_use(&self) -> PoolUse;

    /// Checks that the database answers and that it has our tables.
    async fn ping(&self) -> Result<(), StoreError>;
}
