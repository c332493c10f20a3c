//! Stores in private databases, with direct access to their tables.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use shared::clock::Timestamp;
use shared::ids::{AccountId, KeyId};
use shared::key::PartnerKey;
use shared::secret_hash::SecretHash;
use shared::store::{Actor, Claim, Job, KeyOfRequest, NewKey, Origin, SqliteStore, Store};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{PgPool, SqlSafeStr};
use tempfile::TempDir;

use crate::{TestDatabase, scratch};

/// A kind of database that a store can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// PostgreSQL, which production uses.
    Postgres,
    /// SQLite, which an embedded deployment uses.
    Sqlite,
}

/// A store in a private database.
pub struct StoreUnderTest {
    /// The kind of database that the store uses.
    pub database: Database,
    /// The store.
    pub store: Arc<dyn Store>,
    tables: Tables,
}

enum Tables {
    Postgres(TestDatabase, PgPool),
    Sqlite(TempDir, SqlitePool),
}

/// A row of `api_partners` without the hash and the prefix of the secret.
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
    pub expires_at: Option<Timestamp>,
    pub replaces: Option<KeyId>,
}

const ROWS: &str = "
    SELECT id, account_id, is_active, has_webhook, svix_app_id, created_at, revoked_at,
           last_used_at, attempts, armed_at_attempt, next_attempt_at, leased_until, last_error,
           failed_at, expires_at, replaces
    FROM api_partners ORDER BY id";

impl StoreUnderTest {
    /// Creates a store in an empty database, without the schema.
    pub async fn empty(database: Database) -> Self {
        let tables = match database {
            Database::Postgres => Tables::in_postgres(TestDatabase::create().await).await,
            Database::Sqlite => {
                let dir = scratch();
                let file = SqliteConnectOptions::new().filename(dir.path().join("test.db"));
                Tables::Sqlite(dir, SqlitePool::connect_lazy_with(file))
            }
        };
        Self::in_tables(database, tables).await
    }

    /// Creates a store in a database with the current schema.
    pub async fn migrated(database: Database) -> Self {
        match database {
            Database::Postgres => {
                let tables = Tables::in_postgres(TestDatabase::migrated().await).await;
                Self::in_tables(database, tables).await
            }
            Database::Sqlite => {
                let new = Self::empty(database).await;
                new.store.migrate().await.unwrap();
                new
            }
        }
    }

    async fn in_tables(database: Database, tables: Tables) -> Self {
        Self {
            database,
            store: tables.open().await,
            tables,
        }
    }

    /// Opens another store on the same database, as another process does.
    pub async fn another(&self) -> Arc<dyn Store> {
        self.tables.open().await
    }

    /// Returns a connection pool on the PostgreSQL database. Panics if the store uses
    /// SQLite.
    pub fn postgres(&self) -> &PgPool {
        match &self.tables {
            Tables::Postgres(_, pool) => pool,
            Tables::Sqlite(..) => panic!("the store must use PostgreSQL, but uses SQLite"),
        }
    }

    /// Runs a statement directly in the database. Returns the number of changed rows.
    pub async fn execute(&self, statement: impl SqlSafeStr) -> u64 {
        self.try_execute(statement).await.unwrap()
    }

    /// Runs a statement directly in the database. Returns the number of changed rows,
    /// or the error if the database rejects the statement.
    pub async fn try_execute(&self, statement: impl SqlSafeStr) -> sqlx::Result<u64> {
        Ok(match &self.tables {
            Tables::Postgres(_, pool) => {
                sqlx::query(statement).execute(pool).await?.rows_affected()
            }
            Tables::Sqlite(_, pool) => sqlx::query(statement).execute(pool).await?.rows_affected(),
        })
    }

    /// Returns all rows, ordered by id.
    pub async fn rows(&self) -> Vec<Row> {
        match &self.tables {
            Tables::Postgres(_, pool) => sqlx::query_as(ROWS).fetch_all(pool).await.unwrap(),
            Tables::Sqlite(_, pool) => sqlx::query_as(ROWS).fetch_all(pool).await.unwrap(),
        }
    }

    /// Returns the row with this id. Panics if it does not exist.
    pub async fn row(&self, id: KeyId) -> Row {
        let rows = self.rows().await;
        rows.into_iter()
            .find(|row| row.id == id)
            .expect("the row must exist")
    }

    /// Claims a job at the time at which a lease of one minute ends then.
    pub async fn try_claim(&self, job: Job, lease_end: Timestamp) -> Option<Claim> {
        let now = lease_end - Duration::from_mins(1);
        self.store.claim(job, now, lease_end).await.unwrap()
    }

    /// Returns the key that the account created by a request with this hash.
    pub async fn of_request(&self, account: &str, hash: &SecretHash) -> Option<KeyOfRequest> {
        let account = AccountId::parse(account).unwrap();
        self.store.key_of_request(&account, hash).await.unwrap()
    }

    /// Creates a key for this account in the store and returns it.
    pub async fn mint(&self, account: &str, at: Timestamp) -> NewKey {
        let key = new_key(account, at);
        assert!(
            self.store.insert_key(&key, &caller()).await.unwrap(),
            "{account} already has a key"
        );
        key
    }
}

impl Tables {
    async fn in_postgres(database: TestDatabase) -> Self {
        let pool = database.pool().await;
        Self::Postgres(database, pool)
    }

    /// Opens a new store on the database.
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

/// Returns the origin of a request by an account.
pub fn caller() -> Origin {
    Origin {
        client_address: Some("192.0.2.1".into()),
        ..Origin::of(Actor::Account)
    }
}

/// Generates a key for this account without storing it.
pub fn new_key(account: &str, created_at: Timestamp) -> NewKey {
    let key = PartnerKey::generate().unwrap();
    NewKey {
        id: next_id(),
        account_id: AccountId::parse(account).unwrap(),
        key_hash: key.hash(),
        key_prefix: key.prefix(),
        created_at,
        idempotency_hash: None,
    }
}

/// Returns an id that is greater than all earlier ones, because [`ROWS`] is in the order
/// of ids. Ids of the same millisecond would be in random order.
fn next_id() -> KeyId {
    static ISSUED: AtomicU64 = AtomicU64::new(0);
    KeyId::generate(at(0) + Duration::from_millis(ISSUED.fetch_add(1, Ordering::Relaxed)))
}

/// Returns the row that a key must have directly after its creation.
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
        expires_at: None,
        replaces: None,
    }
}

/// Returns the job for this attempt. `attempt` is the number of earlier attempts.
pub fn job(key_id: KeyId, attempt: i32) -> Job {
    Job::new(key_id, attempt)
}

/// Returns the time this many seconds after a fixed instant. The instant is not a
/// whole number of milliseconds, so tests notice if a store loses microseconds.
pub fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(1_800_000_000_123_457) + Duration::from_secs(seconds)
}
