//! A database for one test, on the PostgreSQL server that `make test` starts.

use shared::config::DatabaseConfig;
use shared::store::{PostgresStore, Store};
use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// The script that gives each part of the service its privileges.
const ROLES: &str = include_str!("../../deploy/postgres/roles.sql");

/// A part of the service, with a user of its own in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `api migrate` and the commands of operators.
    Migrate,
    /// The platform's login.
    Login,
    /// The api.
    Api,
    /// The worker.
    Worker,
}

impl Role {
    const ALL: [Self; 4] = [Self::Migrate, Self::Login, Self::Api, Self::Worker];

    fn name(self) -> &'static str {
        match self {
            Self::Migrate => "migrate",
            Self::Login => "login",
            Self::Api => "api",
            Self::Worker => "worker",
        }
    }
}

/// A database for one test. It is never dropped, because the server is temporary.
pub struct TestDatabase {
    url: String,
    has_roles: bool,
    /// The part of the service that uses another port of this machine, and that port.
    detour: Option<(Role, u16)>,
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
            has_roles: false,
            detour: None,
        }
    }

    /// Creates a database with the current schema, and a user for each part of the service.
    pub async fn migrated() -> Self {
        Self::create().await.with_schema_and_users().await
    }

    /// Migrates the database to the current schema. Each part of the service has a user
    /// with no more than its privileges.
    pub async fn with_schema_and_users(self) -> Self {
        let mut database = self;
        database.store().migrate().await.unwrap();
        let mut admin = PgConnection::connect(&database.url).await.unwrap();
        sqlx::raw_sql(ROLES).execute(&mut admin).await.unwrap();
        for role in Role::ALL.map(Role::name) {
            // Several tests create the users of the shared server at the same time.
            let create = format!(
                "DO $$ BEGIN CREATE USER test_{role} IN ROLE partner_keys_{role};
                 EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
            );
            let create = AssertSqlSafe(create);
            sqlx::raw_sql(create).execute(&mut admin).await.unwrap();
        }
        database.has_roles = true;
        database
    }

    /// Returns the database at this URL, which must exist.
    pub fn at(url: String) -> Self {
        Self {
            url,
            has_roles: false,
            detour: None,
        }
    }

    /// Returns the URL of the database, for its superuser.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Returns the URL for the user of this part of the service; that of the superuser if
    /// the database has no such users.
    pub fn url_for(&self, role: Role) -> String {
        let user = if self.has_roles {
            format!("postgres://test_{}", role.name())
        } else {
            self.url.split_once('@').unwrap().0.to_owned()
        };
        let address = match self.detour {
            Some((with_detour, port)) if with_detour == role => format!("127.0.0.1:{port}"),
            _ => self.address(),
        };
        let (_, name) = self.url.rsplit_once('/').unwrap();
        format!("{user}@{address}/{name}")
    }

    /// Returns the host and port of the server.
    pub fn address(&self) -> String {
        let (_, address) = self.url.split_once('@').unwrap();
        let (address, _) = address.rsplit_once('/').unwrap();
        address.to_owned()
    }

    /// Makes this part of the service use this port of this machine, on which something
    /// must pass all on to the server.
    #[must_use]
    pub fn through(self, role: Role, port: u16) -> Self {
        Self {
            detour: Some((role, port)),
            ..self
        }
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
            // A test that is api and worker keeps five of them.
            max_connections: 10,
        })
    }

    /// Opens a connection pool, so that a test can read and change the rows.
    pub async fn pool(&self) -> PgPool {
        PgPool::connect(&self.url).await.unwrap()
    }
}
