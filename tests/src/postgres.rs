//! A database of a test's own, in the PostgreSQL that `make test` starts.

use shared::store::{PostgresStore, Store};
use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// A fresh database. The server is temporary, so nothing drops it.
pub struct TestDatabase {
    url: String,
}

impl TestDatabase {
    /// Creates an empty one.
    pub async fn create() -> Self {
        let server = crate::variable("TEST_DATABASE_URL");
        let name = format!("test_{}", uuid::Uuid::new_v4().simple());
        let mut admin = PgConnection::connect(&server).await.unwrap();
        let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::query(create).execute(&mut admin).await.unwrap();
        let (server, _) = server.rsplit_once('/').unwrap();
        Self {
            url: format!("{server}/{name}"),
        }
    }

    /// Creates one with our schema.
    pub async fn migrated() -> Self {
        let database = Self::create().await;
        database.store().migrate().await.unwrap();
        database
    }

    /// The one at this URL.
    pub fn at(url: String) -> Self {
        Self { url }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// A store on it.
    pub fn store(&self) -> PostgresStore {
        PostgresStore::new(self.url.parse().unwrap(), 5)
    }

    /// A pool, to look at it with.
    pub async fn pool(&self) -> PgPool {
        PgPool::connect(&self.url).await.unwrap()
    }
}
