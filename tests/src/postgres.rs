//! A database for one test, on the PostgreSQL server that `make test` starts.

use shared::config::DatabaseConfig;
use shared::store::{PostgresStore, Store};
use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// A database for one test. It is never dropped, because the server is temporary.
pub struct TestDatabase {
    url: String,
}

impl TestDatabase {
    /// Creates an empty database.
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

    /// Creates a database and migrates it to the current schema.
    pub async fn migrated() -> Self {
        let database = Self::create().await;
        database.store().migrate().await.unwrap();
        database
    }

    /// Returns the database at this URL, which must exist.
    pub fn at(url: String) -> Self {
        Self { url }
    }

    /// Returns the URL of the database.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Allows new connections, or refuses them and closes the existing ones.
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

    /// Returns a store that uses the database.
    pub fn store(&self) -> PostgresStore {
        PostgresStore::new(DatabaseConfig {
            options: self.url.parse().unwrap(),
            max_connections: 5,
        })
    }

    /// Opens a connection pool, so that a test can read and change the rows.
    pub async fn pool(&self) -> PgPool {
        PgPool::connect(&self.url).await.unwrap()
    }
}
