use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::query::Query;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{Connection, Sqlite, SqliteConnection};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::impl_store::{event, impl_store};
use super::{
    AccountKeys, Actor, Claim, EventKind, FoundKey, Job, NewKey, Origin, Outcome, SessionKeys,
    StoreError, accepts_newer, sql,
};
use crate::clock::Timestamp;
use crate::ids::{AccountId, KeyId};
use crate::metrics::Operation;
use crate::secret_hash::SecretHash;

/// A transaction that writes. It is rolled back if it is dropped.
#[derive(Debug)]
struct Transaction {
    begun: sqlx::Transaction<'static, Sqlite>,
    _turn: OwnedMutexGuard<()>,
}

impl Transaction {
    async fn commit(self) -> sqlx::Result<()> {
        self.begun.commit().await
    }

    async fn rollback(self) -> sqlx::Result<()> {
        self.begun.rollback().await
    }
}

impl Deref for Transaction {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.begun
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.begun
    }
}

/// The longest time for which [`SqliteStore::close`] waits.
const LONGEST_CLOSE: Duration = Duration::from_secs(2);

/// The schema that this program knows.
pub(super) static MIGRATOR: LazyLock<Migrator> =
    LazyLock::new(|| accepts_newer(sqlx::migrate!("migrations/sqlite")));

/// The store of the embedded deployment, in a SQLite file, for one process.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    pool: SqlitePool,
    /// Whose turn it is to write. SQLite lets one connection write at a time, and the others
    /// try again at random, so that one of them could wait until its deadline.
    turns: Arc<Mutex<()>>,
}

impl SqliteStore {
    /// The statement of this database.
    const REPROVISION: &'static str = sql::REPROVISION;

    /// Opens the file, and creates it if it does not exist.
    pub async fn open(file: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // Sync at each commit: a key that was shown must survive a power cut.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(2));
        let pool = SqlitePoolOptions::new()
            .acquire_timeout(Duration::from_secs(2))
            // After some errors, such as a full disk, SQLite has rolled back by itself. sqlx then
            // counts a transaction that is none, and its next rollback would leave one open, which
            // locks the database. The ping waits for the rollback.
            .after_release(|connection, _| {
                Box::pin(async move {
                    connection.ping().await?;
                    Ok(!connection.is_in_transaction())
                })
            })
            .connect_with(options)
            .await?;
        let turns = Arc::default();
        Ok(Self { pool, turns })
    }

    /// Closes all connections, so that SQLite moves its log into the file, and the file alone is
    /// the database. Without this the process may end before the threads of the connections
    /// have done so. Nothing is lost then: the next start reads the log. Gives up after 2 s.
    pub async fn close(&self) {
        let _ = tokio::time::timeout(LONGEST_CLOSE, self.pool.close()).await;
    }

    async fn create_key(&self, key: &NewKey, origin: &Origin) -> Result<bool, StoreError> {
        let insert = sqlx::query(sql::INSERT_KEY)
            .bind(key.id)
            .bind(key.account_id.as_str())
            .bind(key.key_hash.as_bytes())
            .bind(key.key_prefix.as_str())
            .bind(key.created_at)
            .bind(key.idempotency_hash.as_ref().map(SecretHash::as_bytes));
        let (kind, now) = (EventKind::Created, key.created_at);
        self.execute_and_record("create key", insert, key.id, now, kind, origin)
            .await
    }

    async fn find_session_account(
        &self,
        token: &SecretHash,
        now: Timestamp,
    ) -> Result<Option<AccountId>, StoreError> {
        let query = sqlx::query_scalar(sql::SESSION_ACCOUNT).bind(token.as_bytes());
        self.run(
            "find account of session",
            query.bind(now).fetch_optional(&self.pool),
        )
        .await
    }

    async fn find_keys_of(&self, account: &AccountId) -> Result<AccountKeys, StoreError> {
        let query = sqlx::query_as(sql::KEYS_OF_ACCOUNT).bind(account.as_str());
        let found = self.run("find keys of account", query.fetch_all(&self.pool));
        let mut keys = AccountKeys::default();
        found.await?.into_iter().for_each(|key| keys.add(key));
        Ok(keys)
    }

    /// Asks twice, because that costs no round trip here.
    async fn find_keys_of_session(
        &self,
        token: &SecretHash,
        now: Timestamp,
    ) -> Result<Option<SessionKeys>, StoreError> {
        let Some(account) = self.find_session_account(token, now).await? else {
            return Ok(None);
        };
        let keys = self.find_keys_of(&account).await?;
        Ok(Some(SessionKeys { account, keys }))
    }

    async fn find_key_by_hash(
        &self,
        hash: &SecretHash,
        now: Timestamp,
    ) -> Result<Option<FoundKey>, StoreError> {
        let query = sqlx::query_as(sql::KEY_BY_HASH).bind(hash.as_bytes());
        let found = self.run("find key by hash", query.fetch_optional(&self.pool));
        let key: Option<FoundKey> = found.await?;
        Ok(key.filter(|key| key.is_live(now)))
    }

    /// Begins a transaction that writes, in turn. It holds the write lock from its beginning.
    async fn begin(&self) -> sqlx::Result<Transaction> {
        let turn = Arc::clone(&self.turns).lock_owned().await;
        let begun = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        Ok(Transaction { begun, _turn: turn })
    }

    /// Begins a transaction that changes keys of the account. No other changes them
    /// meanwhile.
    async fn begin_for(&self, _account: &AccountId) -> sqlx::Result<Transaction> {
        self.begin().await
    }

    async fn find_due(
        &self,
        now: Timestamp,
        skip: i64,
        limit: i64,
    ) -> Result<Vec<Job>, StoreError> {
        let query = sqlx::query_as(sql::DUE).bind(now).bind(limit).bind(skip);
        self.run("find due rows", query.fetch_all(&self.pool)).await
    }

    async fn claim_job(
        &self,
        job: Job,
        now: Timestamp,
        lease_end: Timestamp,
    ) -> Result<Option<Claim>, StoreError> {
        let lease = sqlx::query_scalar(sql::HAS_LEASE)
            .bind(job.key_id)
            .bind(job.attempt);
        let claim = sqlx::query_as(sql::CLAIM)
            .bind(job.key_id)
            .bind(job.attempt)
            .bind(now)
            .bind(lease_end);
        self.run("claim attempt", async {
            // A statement of SQLite returns no old values.
            let had_lease: Option<bool> = lease.fetch_optional(&self.pool).await?;
            let claim: Option<Claim> = claim.fetch_optional(&self.pool).await?;
            Ok(claim.map(|claim| Claim {
                after_expired_lease: had_lease.unwrap_or(false),
                ..claim
            }))
        })
        .await
    }

    async fn finish_claim(
        &self,
        claim: &Claim,
        outcome: &Outcome,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let finish = sqlx::query(sql::FINISH)
            .bind(claim.key_id)
            .bind(claim.attempt)
            .bind(outcome.as_str())
            .bind(outcome.svix_app_id())
            .bind(outcome.at())
            .bind(outcome.error())
            .bind(claim.lease_end);
        let Some(kind) = outcome.event() else {
            let done = self
                .run("finish attempt", finish.execute(&self.pool))
                .await?;
            return Ok(done.rows_affected() == 1);
        };
        let worker = Origin {
            reason: outcome.error().map(str::to_owned),
            ..Origin::of(Actor::Worker)
        };
        self.execute_and_record("finish attempt", finish, claim.key_id, now, kind, &worker)
            .await
    }

    async fn write_uses(&self, uses: &[(KeyId, Timestamp)]) -> Result<(), sqlx::Error> {
        let mut transaction = self.begin().await?;
        for (id, at) in uses {
            let touch = sqlx::query(sql::TOUCH_KEY).bind(*id).bind(*at);
            touch.execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }

    /// Runs a statement that changes one row at most and, if it changes one, records the
    /// event in the same transaction. Returns whether it did.
    async fn execute_and_record(
        &self,
        summary: &'static str,
        statement: Query<'_, Sqlite, SqliteArguments>,
        id: KeyId,
        now: Timestamp,
        kind: EventKind,
        origin: &Origin,
    ) -> Result<bool, StoreError> {
        self.run(summary, async {
            let mut transaction = self.begin().await?;
            let done = statement.execute(&mut *transaction).await?;
            if done.rows_affected() == 0 {
                transaction.rollback().await?;
                return Ok(false);
            }
            let event = event!(sql::INSERT_EVENT, id, now, kind, origin);
            event.execute(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Migrates in one transaction, because sqlx takes no lock of its own on SQLite.
    async fn run_migrations(&self) -> Result<(), MigrateError> {
        let mut transaction = self.begin().await?;
        MIGRATOR.run_direct(None, &mut *transaction, false).await?;
        Ok(transaction.commit().await?)
    }
}

const fn operation(summary: &'static str) -> Operation {
    Operation {
        system: "sqlite",
        summary,
    }
}

impl_store!(SqliteStore, sqlx::Sqlite, operation);
