//! Both stores, with a look past them into their tables.

use std::sync::Arc;
use std::time::Duration;

use shared::clock::Timestamp;
use shared::ids::{AccountId, KeyId};
use shared::key::PartnerKey;
use shared::store::{Job, NewKey, SqliteStore, Store};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{PgPool, SqlSafeStr};
use tempfile::TempDir;

use crate::{TestDatabase, scratch};

/// Which database a store is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// The production one.
    Postgres,
    /// The embedded one.
    Sqlite,
}

/// A store in a database of its own.
pub struct StoreUnderTest {
    /// Which database it is in.
    pub database: Database,
    /// The store.
    pub store: Arc<dyn Store>,
    tables: Tables,
}

enum Tables {
    Postgres(TestDatabase, PgPool),
    Sqlite(TempDir, SqlitePool),
}

/// A row of `api_partners`, all of it but the secret's hash and prefix.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
#[expect(missing_docs, reason = "the migration explains the columns")]
pub struct Row {
    pub id: KeyId,
    pub account_id: AccountId,
    pub is_active: bool,
    pub has_webhook: bool,
    pub svix_app_id: Option<String>,
    pub created_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    pub attempts: i32,
    pub armed_at_attempt: i32,
    pub next_attempt_at: Option<Timestamp>,
    pub leased_until: Option<Timestamp>,
    pub last_error: Option<String>,
    pub failed_at: Option<Timestamp>,
}

const ROWS: &str = "
    SELECT id, account_id, is_active, has_webhook, svix_app_id, created_at, revoked_at,
           last_used_at, attempts, armed_at_attempt, next_attempt_at, leased_until, last_error,
           failed_at
    FROM api_partners ORDER BY id";

impl StoreUnderTest {
    /// One without our schema.
    pub async fn empty(database: Database) -> Self {
        let tables = match database {
            Database::Postgres => {
                let database = TestDatabase::create().await;
                let pool = database.pool().await;
                Tables::Postgres(database, pool)
            }
            Database::Sqlite => {
                let dir = scratch();
                let file = SqliteConnectOptions::new().filename(dir.path().join("test.db"));
                Tables::Sqlite(dir, SqlitePool::connect_lazy_with(file))
            }
        };
        Self {
            database,
            store: tables.open().await,
            tables,
        }
    }

    /// One with our schema.
    pub async fn migrated(database: Database) -> Self {
        let new = Self::empty(database).await;
        new.store.migrate().await.unwrap();
        new
    }

    /// The same database, opened once more, as by another process.
    pub async fn another(&self) -> Arc<dyn Store> {
        self.tables.open().await
    }

    /// Returns a pool on the database, which must be PostgreSQL.
    pub fn postgres(&self) -> &PgPool {
        match &self.tables {
            Tables::Postgres(_, pool) => pool,
            Tables::Sqlite(..) => panic!("the store is in SQLite"),
        }
    }

    /// Runs a statement without the store. Returns the number of changed rows.
    pub async fn execute(&self, statement: impl SqlSafeStr) -> u64 {
        self.try_execute(statement).await.unwrap()
    }

    /// Runs a statement without the store, which the database may refuse.
    pub async fn try_execute(&self, statement: impl SqlSafeStr) -> sqlx::Result<u64> {
        Ok(match &self.tables {
            Tables::Postgres(_, pool) => {
                sqlx::query(statement).execute(pool).await?.rows_affected()
            }
            Tables::Sqlite(_, pool) => sqlx::query(statement).execute(pool).await?.rows_affected(),
        })
    }

    /// All rows, by id.
    pub async fn rows(&self) -> Vec<Row> {
        match &self.tables {
            Tables::Postgres(_, pool) => sqlx::query_as(ROWS).fetch_all(pool).await.unwrap(),
            Tables::Sqlite(_, pool) => sqlx::query_as(ROWS).fetch_all(pool).await.unwrap(),
        }
    }

    /// The row of this id.
    pub async fn row(&self, id: KeyId) -> Row {
        let rows = self.rows().await;
        rows.into_iter().find(|row| row.id == id).expect("the row")
    }

    /// Mints a key of this account; gives what was stored.
    pub async fn mint(&self, account: &str, at: Timestamp) -> NewKey {
        let key = new_key(account, at);
        assert!(self.store.insert_key(&key).await.unwrap(), "{account}");
        key
    }
}

impl Tables {
    async fn open(&self) -> Arc<dyn Store> {
        match self {
            Self::Postgres(database, _) => Arc::new(database.store()),
            Self::Sqlite(dir, _) => {
                let file = dir.path().join("test.db");
                Arc::new(SqliteStore::open(&file).await.unwrap())
            }
        }
    }
}

/// A key of this account, not stored yet.
pub fn new_key(account: &str, created_at: Timestamp) -> NewKey {
    let key = PartnerKey::generate().unwrap();
    NewKey {
        id: KeyId::generate(created_at),
        account_id: AccountId::parse(account).unwrap(),
        key_hash: key.hash(),
        key_prefix: key.prefix(),
        created_at,
    }
}

/// The row of a key that was just minted.
pub fn minted(key: &NewKey) -> Row {
    Row {
        id: key.id,
        account_id: key.account_id.clone(),
        is_active: true,
        has_webhook: false,
        svix_app_id: None,
        created_at: key.created_at,
        revoked_at: None,
        last_used_at: None,
        attempts: 0,
        armed_at_attempt: 0,
        next_attempt_at: Some(key.created_at),
        leased_until: None,
        last_error: None,
        failed_at: None,
    }
}

/// The job for an attempt, of which so many were made before.
pub fn job(key_id: KeyId, attempt: i32) -> Job {
    Job { key_id, attempt }
}

/// So many seconds after an instant that has microseconds.
pub fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(1_800_000_000_123_457) + Duration::from_secs(seconds)
}
