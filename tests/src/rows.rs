//! The rows behind a deployment, seen and changed past the product.

use sqlx::sqlite::SqlitePool;

use crate::Deployment;

/// What a row of `api_partners` says of a key's life.
#[derive(Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct KeyRow {
    /// Whether the key works.
    pub is_active: bool,
    /// Whether the time of a revocation is noted.
    pub was_revoked: bool,
    /// SHA-256 of the key.
    pub key_hash: Vec<u8>,
    /// The key's first 24 characters.
    pub key_prefix: String,
}

/// All rows of an account, oldest first. Both databases take it.
const ROWS: &str = "
    SELECT is_active, revoked_at IS NOT NULL AS was_revoked, key_hash, key_prefix
    FROM api_partners WHERE account_id = $1 ORDER BY created_at";

impl Deployment {
    /// The rows of an account, oldest first.
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

    /// Runs a statement that both databases take, `$1` being this text.
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

    /// A pool on the file of an embedded deployment.
    pub async fn sqlite(&self) -> SqlitePool {
        let file = self.dir().join("data/partner-keys.db");
        SqlitePool::connect(&format!("sqlite:{}", file.display()))
            .await
            .unwrap()
    }
}
