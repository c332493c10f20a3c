//! A database of a test's own, in the PostgreSQL that `make test` starts.

use shared::config::DatabaseConfig;
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

    /// Whether it lets anybody in. If not, those who are in are put out.
    pub async fn allow_connections(&self, allowed: bool) {
        let server = crate::variable("TEST_DATABASE_URL");
        let mut admin = PgConnection::connect(&server).await.unwrap();
        let (_, name) = self.url.rsplit_once('/').unwrap();
        let alter = AssertSqlSafe(format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {allowed}"));
        sqlx::query(alter).execute(&mut admin).await.unwrap();
        if !allowed {
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
            let end = sqlx::query(end).bind(name);
            end.execute(&mut admin).await.unwrap();
        }
    }

    /// A store on it.
    pub fn store(&self) -> PostgresStore {
        PostgresStore::new(DatabaseConfig {
            options: self.url.parse().unwrap(),
            max_connections: 5,
        })
    }

    /// A pool, to look at it with.
    pub async fn pool(&self) -> PgPool {
        PgPool::connect(&self.url).await.unwrap()
    }
}
