use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use super::sql::{self, within_deadline};
use super::{
    Backlog, Claim, DeadLetter, Job, NewKey, Outcome, Rearm, Revoked, StoreError, StoredKey,
};
use crate::clock::Timestamp;
use crate::ids::{AccountId, KeyId};
use crate::secret_hash::SecretHash;

static MIGRATOR: Migrator = sqlx::migrate!("migrations/sqlite");

/// The store in a SQLite file: the embedded one, for one process.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    pool: SqlitePool,
}

impl SqliteStore {
    /// Opens the file, and makes it if it is not there.
    pub async fn open(file: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A key that was shown must survive a power cut: sync at each commit.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(2));
        let pool = SqlitePoolOptions::new()
            .acquire_timeout(Duration::from_secs(2))
            .connect_with(options)
            .await?;
        Ok(Self { pool })
    }

    /// sqlx takes no lock on SQLite while it migrates, so all of it is one
    /// transaction, which holds the write lock from its beginning.
    async fn run_migrations(&self) -> Result<(), MigrateError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        MIGRATOR.run_direct(None, &mut *transaction, false).await?;
        Ok(transaction.commit().await?)
    }
}

super::sql::impl_store!(SqliteStore);
