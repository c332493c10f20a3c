use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

use super::sql::{self, within_deadline};
use super::{
    Backlog, Claim, DeadLetter, Job, NewKey, Outcome, Rearm, Revoked, StoreError, StoredKey,
};
use crate::clock::Timestamp;
use crate::ids::{AccountId, KeyId};
use crate::secret_hash::SecretHash;

static MIGRATOR: Migrator = sqlx::migrate!("migrations/postgres");

/// How long a caller waits for a free connection. Short, so that a pool that is
/// exhausted or a server that is down gives a prompt 503, not a growing queue.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// The store in PostgreSQL: the production one.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    pool: PgPool,
}

impl PostgresStore {
    /// Prepares a pool; connections are made when first needed, so that a
    /// process starts, and says it is not ready, while the database is down.
    #[must_use]
    pub fn new(options: PgConnectOptions, max_connections: u32) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_connect(|connection, _| {
                Box::pin(async move {
                    // Ends on the server too what we stop waiting for. By SET, not
                    // as a start-up option, which poolers such as PgBouncer refuse.
                    let timeout = super::DEADLINE.as_millis();
                    let set = sqlx::AssertSqlSafe(format!("SET statement_timeout = {timeout}"));
                    sqlx::query(set).execute(connection).await?;
                    Ok(())
                })
            })
            .connect_lazy_with(options);
        Self { pool }
    }

    /// Connects without the statement timeout: a migration takes its time, and
    /// waits for another that is under way.
    async fn run_migrations(&self) -> Result<(), MigrateError> {
        let options = self.pool.connect_options();
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with((*options).clone());
        MIGRATOR.run(&pool).await
    }
}

super::sql::impl_store!(PostgresStore);
