//! A database for one test, on the PostgreSQL server that `make test` starts.

use shared::config::{DatabaseConfig, Pooler};
use shared::store::{PostgresStore, Store};
use sqlx::postgres::{PgConnectOptions, PgPool};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::sync::OnceCell;

/// The script that gives each part of the service its privileges.
const ROLES: &str = include_str!("../../deploy/postgres/roles.sql");

/// The variable with the port of the pooler that all databases of the server are behind.
pub const POOLER_PORT: &str = "TEST_POOLER_PORT";

/// The variable with which each test has only a schema of its own, which is much cheaper than a
/// database.
pub const IN_SCHEMAS: &str = "TEST_IN_SCHEMAS";

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
    /// The port of this machine with a pooler in transaction mode, which the service uses.
    pooler: Option<u16>,
}

impl TestDatabase {
    /// Creates an empty database. With [`IN_SCHEMAS`] it is a schema of the server's database.
    pub async fn create() -> Self {
        Self::create_from("template1").await
    }

    /// Creates a copy of the database `template`. With [`IN_SCHEMAS`] it is an empty schema.
    async fn create_from(template: &str) -> Self {
        let server = crate::variable("TEST_DATABASE_URL");
        let name = format!("test_{}", uuid::Uuid::new_v4().simple());
        let mut admin = PgConnection::connect(&server).await.unwrap();
        let create = if in_schemas() {
            format!("CREATE SCHEMA {name}; GRANT USAGE, CREATE ON SCHEMA {name} TO PUBLIC")
        } else {
            format!("CREATE DATABASE {name} TEMPLATE {template}")
        };
        let create = sqlx::raw_sql(AssertSqlSafe(create));
        create.execute(&mut admin).await.unwrap();
        if in_schemas() {
            return Self::at(format!("{server}?options=-c%20search_path%3D{name}"));
        }
        let (server, _) = server.rsplit_once('/').unwrap();
        let mut database = Self::at(format!("{server}/{name}"));
        let pooler = std::env::var(POOLER_PORT).ok();
        database.pooler = pooler.map(|port| port.parse().unwrap());
        database
    }

    /// Creates a database with the current schema, and a user for each part of the service.
    pub async fn migrated() -> Self {
        /// To copy a database is much cheaper than to migrate one.
        static TEMPLATE: OnceCell<TestDatabase> = OnceCell::const_new();
        if in_schemas() {
            return Self::create().await.with_schema_and_users().await;
        }
        let migrate = async || Self::create().await.with_schema_and_users().await;
        let template = TEMPLATE.get_or_init(migrate).await;
        Self {
            has_roles: true,
            ..Self::create_from(template.name()).await
        }
    }

    /// Migrates the database to the current schema. Each part of the service has a user
    /// with no more than its privileges.
    pub async fn with_schema_and_users(self) -> Self {
        let mut database = self;
        database.migrate().await;
        let mut admin = PgConnection::connect(&database.url).await.unwrap();
        // The users belong to the whole server, and cannot be changed by several at a time. The
        // lock ends with the connection.
        let lock = sqlx::query("SELECT pg_advisory_lock(1)");
        lock.execute(&mut admin).await.unwrap();
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
            pooler: None,
        }
    }

    /// Migrates the database to the current schema.
    pub async fn migrate(&self) {
        let directly = store_at(&self.url, Pooler::None);
        directly.migrate().await.unwrap();
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
        let address = match (self.detour, self.pooler) {
            (Some((with_detour, port)), _) if with_detour == role => format!("127.0.0.1:{port}"),
            (_, Some(port)) if role != Role::Migrate => format!("127.0.0.1:{port}"),
            _ => self.address(),
        };
        format!("{user}@{address}/{}", self.name())
    }

    fn name(&self) -> &str {
        self.url.rsplit_once('/').unwrap().1
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

    /// Makes the service use a pooler in transaction mode on this port of this machine. Migrations
    /// and what tests do to the tables go to the server directly.
    #[must_use]
    pub fn behind_pooler(self, port: u16) -> Self {
        Self {
            pooler: Some(port),
            ..self
        }
    }

    /// Returns what this part of the service, or its superuser, connects to.
    pub fn pooler_for(&self, role: Option<Role>) -> Pooler {
        match self.pooler {
            Some(_) if role.is_some_and(|role| role != Role::Migrate) => Pooler::Transaction,
            _ => Pooler::None,
        }
    }

    /// Allows new connections, or refuses them and closes the existing ones.
    pub async fn allow_connections(&self, allowed: bool) {
        let server = crate::variable("TEST_DATABASE_URL");
        let mut admin = PgConnection::connect(&server).await.unwrap();
        let name = self.name();
        let alter = AssertSqlSafe(format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {allowed}"));
        sqlx::query(alter).execute(&mut admin).await.unwrap();
        if !allowed {
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
            let end = sqlx::query(end).bind(name);
            end.execute(&mut admin).await.unwrap();
        }
    }

    /// Makes the server tell each new client when it plans a statement.
    pub async fn tell_plans(&self) {
        let tell = "
            ALTER DATABASE THIS SET log_planner_stats = on;
            ALTER DATABASE THIS SET client_min_messages = log";
        self.change(tell).await;
    }

    /// Runs statements as the superuser. In them, `THIS` stands for the name of the database.
    pub async fn change(&self, statements: &str) {
        let statements = AssertSqlSafe(statements.replace("THIS", self.name()));
        let change = sqlx::raw_sql(statements);
        change.execute(&self.pool().await).await.unwrap();
    }

    /// Returns a store that uses the database, through the pooler if there is one.
    pub fn store(&self) -> PostgresStore {
        let Some(port) = self.pooler else {
            return store_at(&self.url, Pooler::None);
        };
        let url = self
            .url
            .replace(&self.address(), &format!("127.0.0.1:{port}"));
        store_at(&url, Pooler::Transaction)
    }

    /// Opens a connection pool, so that a test can read and change the rows.
    pub async fn pool(&self) -> PgPool {
        PgPool::connect(&self.url).await.unwrap()
    }
}

fn in_schemas() -> bool {
    std::env::var_os(IN_SCHEMAS).is_some()
}

/// Returns a store that uses the database at this URL.
pub fn store_at(url: &str, pooler: Pooler) -> PostgresStore {
    store_with(url, pooler, 10) // a test that is api and worker keeps five of them
}

/// Returns a store that uses the database at this URL over at most so many connections.
pub fn store_with(url: &str, pooler: Pooler, max_connections: u32) -> PostgresStore {
    PostgresStore::new(DatabaseConfig {
        options: url
            .parse::<PgConnectOptions>()
            .unwrap()
            .extra_float_digits(None),
        max_connections,
        pooler,
    })
}
