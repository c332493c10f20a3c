//! Reads and changes the database rows of a deployment directly.

use sqlx::sqlite::SqlitePool;

use crate::Deployment;

/// The columns of `api_partners` that show the state of a key and its secret.
#[derive(Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct KeyRow {
    /// True if the key is active.
    pub is_active: bool,
    /// True if the row has a revocation time.
    pub was_revoked: bool,
    /// The SHA-256 hash of the key.
    pub key_hash: Vec<u8>,
    /// The first 24 characters of the key.
    pub key_prefix: String,
}

/// Selects all rows of an account, oldest first. Works in PostgreSQL and SQLite.
const ROWS: &str = "
    SELECT is_active, revoked_at IS NOT NULL AS was_revoked, key_hash, key_prefix
    FROM api_partners WHERE account_id = $1 ORDER BY created_at";

impl Deployment {
    /// Returns the rows of an account, oldest first.
    pub async fn rows(&self, account: &str) -> Vec<KeyRow> {
        let rows = if let Some(production) = &self.production {
            let pool = production.database.pool().await;
            sqlx::query_as(ROWS).bind(account).fetch_all(&pool).await
        } else {
            let pool = self.sqlite().await;
            sqlx::query_as(ROWS).bind(account).fetch_all(&pool).await
        };
        rows.unwrap()
    }

    /// Runs a statement that works in PostgreSQL and SQLite, with `text` as `$1`.
    pub async fn execute(&self, statement: &'static str, text: &str) {
        if let Some(production) = &self.production {
            let pool = production.database.pool().await;
            let done = sqlx::query(statement).bind(text).execute(&pool).await;
            done.unwrap();
        } else {
            let pool = self.sqlite().await;
            let done = sqlx::query(statement).bind(text).execute(&pool).await;
            done.unwrap();
        }
    }

    /// Opens a connection pool on the SQLite file of an embedded deployment.
    pub async fn sqlite(&self) -> SqlitePool {
        let file = self.dir().join("data/partner-keys.db");
        SqlitePool::connect(&format!("sqlite:{}", file.display()))
            .await
            .unwrap()
    }
}
