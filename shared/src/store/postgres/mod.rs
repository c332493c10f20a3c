//! The store of production.
//!
//! What every request and every job needs goes through a [`Coalescer`]: one statement for
//! all that is asked at the same time, on a connection that is kept for it. The sweep keeps
//! one too. Everything else uses the pool.

mod attempts;
mod creations;
mod kept_connection;
mod loan;
mod lookups;
mod pool;
mod transaction;
mod turns;

use std::fmt;
use std::sync::{Arc, LazyLock};

use sqlx::migrate::{MigrateError, Migrator};

use self::attempts::{ClaimRequest, Claims, Completion, Completions};
use self::creations::Creations;
use self::kept_connection::{Broken, KeptConnection};
use self::lookups::{KeysByHash, KeysOfAccounts, KeysOfSessions, SessionAccounts};
use self::pool::Pool;
use self::transaction::Transaction;
use self::turns::Turns;
use super::impl_store::impl_store;
use super::{
    AccountKeys, Claim, FoundKey, Job, NewKey, Origin, Outcome, SessionKeys, StoreError,
    accepts_newer, sql,
};
use crate::clock::Timestamp;
use crate::coalesce::Coalescer;
use crate::config::DatabaseConfig;
use crate::ids::{AccountId, KeyId};
use crate::metrics::Operation;
use crate::secret_hash::SecretHash;

/// The schema that this program knows.
pub(crate) static MIGRATOR: LazyLock<Migrator> =
    LazyLock::new(|| accepts_newer(sqlx::migrate!("migrations/postgres")));

/// The store of production, in PostgreSQL.
#[derive(Clone)]
pub struct PostgresStore {
    pool: Pool,
    creations: Coalescer<Creations>,
    session_accounts: Coalescer<SessionAccounts>,
    keys_of_accounts: Coalescer<KeysOfAccounts>,
    keys_of_sessions: Coalescer<KeysOfSessions>,
    keys_by_hash: Coalescer<KeysByHash>,
    sweeps: Arc<KeptConnection>,
    claims: Coalescer<Claims>,
    completions: Coalescer<Completions>,
    turns: Turns,
}

/// Shows nothing of the connection, whose settings have a password.
impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgresStore(…)")
    }
}

impl PostgresStore {
    /// The statement of this database.
    const REPROVISION: &'static str = sql::REPROVISION_IN_ORDER;

    /// Prepares a pool. Connections are opened when they are first needed, so that a
    /// process can start, and report that it is not ready, while the database is down.
    ///
    /// Each task that runs batches keeps one of them, from its first batch on, and so does
    /// the sweep. The two lookups of accounts' keys share one. So there are at most four in an
    /// api (three if an identity provider signs the sessions), three in a worker. Call it within
    /// a runtime, on which these tasks run.
    #[must_use]
    pub fn new(config: DatabaseConfig) -> Self {
        let pool = Pool::new(config);
        let broken = Broken::default();
        let kept = || KeptConnection::new(pool.clone(), broken.clone());
        // An api seldom needs both: its sessions are in the table or of an identity provider.
        let keys_of = Arc::new(kept());
        Self {
            creations: Coalescer::start(Creations(kept())),
            session_accounts: Coalescer::start(SessionAccounts(kept())),
            keys_of_accounts: Coalescer::start(KeysOfAccounts(Arc::clone(&keys_of))),
            keys_of_sessions: Coalescer::start(KeysOfSessions(keys_of)),
            keys_by_hash: Coalescer::start(KeysByHash(kept())),
            sweeps: Arc::new(kept()),
            claims: Coalescer::start(Claims(kept())),
            completions: Coalescer::start(Completions(kept())),
            turns: Turns::default(),
            pool,
        }
    }

    async fn create_key(&self, key: &NewKey, origin: &Origin) -> Result<bool, StoreError> {
        self.creations.ask((key.clone(), origin.clone())).await
    }

    async fn find_session_account(
        &self,
        token: &SecretHash,
        now: Timestamp,
    ) -> Result<Option<AccountId>, StoreError> {
        self.session_accounts.ask((*token, now)).await
    }

    async fn find_keys_of(&self, account: &AccountId) -> Result<AccountKeys, StoreError> {
        self.keys_of_accounts.ask(account.clone()).await
    }

    async fn find_keys_of_session(
        &self,
        token: &SecretHash,
        now: Timestamp,
    ) -> Result<Option<SessionKeys>, StoreError> {
        self.keys_of_sessions.ask((*token, now)).await
    }

    async fn find_key_by_hash(
        &self,
        hash: &SecretHash,
        now: Timestamp,
    ) -> Result<Option<FoundKey>, StoreError> {
        self.keys_by_hash.ask((*hash, now)).await
    }

    async fn begin(&self) -> sqlx::Result<Transaction> {
        self.pool.begin(None).await
    }

    /// Begins a transaction that changes keys of the account. No other changes them
    /// meanwhile.
    async fn begin_for(&self, account: &AccountId) -> sqlx::Result<Transaction> {
        let turn = self.turns.of(account).await?;
        let mut transaction = self.pool.begin(Some(turn)).await?;
        for lock in [sql::LOCK_ACCOUNT, sql::LOCK_KEYS] {
            let lock = sqlx::query(lock).bind(account.as_str());
            lock.execute(&mut *transaction).await?;
        }
        Ok(transaction)
    }

    async fn find_due(
        &self,
        now: Timestamp,
        skip: i64,
        limit: i64,
    ) -> Result<Vec<Job>, StoreError> {
        let due = || sqlx::query_as(sql::DUE).bind(now).bind(limit).bind(skip);
        let operation = operation("find due rows");
        operation.measure(Box::pin(self.sweeps.read(due))).await
    }

    async fn claim_job(
        &self,
        job: Job,
        now: Timestamp,
        lease_end: Timestamp,
    ) -> Result<Option<Claim>, StoreError> {
        let request = ClaimRequest {
            job,
            now,
            lease_end,
        };
        self.claims.ask(request).await
    }

    async fn finish_claim(
        &self,
        claim: &Claim,
        outcome: &Outcome,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let completion = Completion {
            key_id: claim.key_id,
            attempt: claim.attempt,
            lease_end: claim.lease_end,
            outcome: outcome.clone(),
            now,
        };
        self.completions.ask(completion).await
    }

    async fn write_uses(&self, uses: &[(KeyId, Timestamp)]) -> Result<(), sqlx::Error> {
        let touch = sqlx::query(sql::TOUCH_KEYS)
            .bind(column(uses, |(id, _)| *id))
            .bind(column(uses, |(_, at)| *at));
        touch.execute(&self.pool).await?;
        Ok(())
    }

    /// Migrates on a connection without the statement timeout, because a migration can
    /// take long, and may wait for another that is running.
    async fn run_migrations(&self) -> Result<(), MigrateError> {
        MIGRATOR.run(&self.pool.without_deadline()).await
    }
}

const fn operation(summary: &'static str) -> Operation {
    Operation {
        system: "postgresql",
        summary,
    }
}

/// Returns one value of each row: a parameter of a statement that takes many rows.
fn column<'a, R, T>(rows: &'a [R], value: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

impl_store!(PostgresStore, sqlx::Postgres, operation);
