use std::fmt;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgPool, PgPoolOptions};

use time::OffsetDateTime;
use uuid::Uuid;

use super::coalesce::Coalescer;
use super::creations::Creations;
use super::impl_store::impl_store;
use super::lookups::{ActiveKeys, KeptConnection, KeysByHash, SessionAccounts};
use super::{NewKey, Origin, StoreError, StoredKey, sql};
use crate::clock::Timestamp;
use crate::config::DatabaseConfig;
use crate::ids::{AccountId, KeyId};
use crate::secret_hash::SecretHash;

static MIGRATOR: Migrator = sqlx::migrate!("migrations/postgres");

/// The time for which a caller waits for a free connection. It is short, so that an
/// exhausted pool or a server that is down gives a prompt 503, not a growing queue.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// The store of production, in PostgreSQL.
#[derive(Clone)]
pub struct PostgresStore {
    pool: PgPool,
    creations: Coalescer<Creations>,
    session_accounts: Coalescer<SessionAccounts>,
    active_keys: Coalescer<ActiveKeys>,
    keys_by_hash: Coalescer<KeysByHash>,
}

/// Shows nothing of the connection, whose settings have a password.
impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgresStore(…)")
    }
}

impl PostgresStore {
    /// Prepares a pool. Connections are opened when they are first needed, so that a
    /// process can start, and report that it is not ready, while the database is down.
    ///
    /// Three of them are kept by the tasks that look up sessions and keys. Call it within a
    /// runtime, on which these tasks run.
    #[must_use]
    pub fn new(config: DatabaseConfig) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(config.max_connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_connect(|connection, _| {
                Box::pin(async move {
                    // The server ends a statement that we no longer wait for. This
                    // is not a start-up option, because poolers such as PgBouncer
                    // refuse those.
                    let timeout = super::DEADLINE.as_millis();
                    let set = sqlx::AssertSqlSafe(format!("SET statement_timeout = {timeout}"));
                    sqlx::query(set).execute(connection).await?;
                    Ok(())
                })
            })
            .connect_lazy_with(config.options);
        let kept = || KeptConnection::new(pool.clone());
        Self {
            creations: Coalescer::start(Creations(pool.clone())),
            session_accounts: Coalescer::start(SessionAccounts(kept())),
            active_keys: Coalescer::start(ActiveKeys(kept())),
            keys_by_hash: Coalescer::start(KeysByHash(kept())),
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

    async fn find_active_key(&self, account: &AccountId) -> Result<Option<StoredKey>, StoreError> {
        self.active_keys.ask(account.clone()).await
    }

    async fn find_key_by_hash(&self, hash: &SecretHash) -> Result<Option<StoredKey>, StoreError> {
        self.keys_by_hash.ask(*hash).await
    }

    async fn write_uses(&self, uses: &[(KeyId, Timestamp)]) -> Result<(), sqlx::Error> {
        let ids: Vec<Uuid> = uses.iter().map(|(id, _)| id.0).collect();
        let times = uses.iter().map(|(_, at)| at.to_offset_date_time());
        let times: Vec<OffsetDateTime> = times.collect();
        let touch = sqlx::query(sql::TOUCH_KEYS).bind(ids).bind(times);
        touch.execute(&self.pool).await?;
        Ok(())
    }

    /// Migrates on a connection without the statement timeout, because a migration can
    /// take long, and may wait for another that is running.
    async fn run_migrations(&self) -> Result<(), MigrateError> {
        let options = self.pool.connect_options();
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with((*options).clone());
        MIGRATOR.run(&pool).await
    }
}

impl_store!(PostgresStore, sqlx::Postgres);
