use clap::Args;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

use super::check::Setting;
use super::secret::read_secret;
use super::{Checker, Invalid};

/// The part of `--help` about the database's secret.
pub const DATABASE_HELP: &str = "\
  DATABASE_URL   PostgreSQL: postgres://user:password@host:port/database, with ?sslmode=verify-full&sslrootcert=FILE for verified TLS; or its file: DATABASE_URL_FILE";

/// The flags of the database.
#[derive(Debug, Args)]
#[command(next_help_heading = "Database")]
pub struct DatabaseArgs {
    /// Maximum number of connections that this process opens [default: 10]
    #[arg(long, env = "DATABASE_MAX_CONNECTIONS", value_name = "N")]
    pub database_max_connections: Option<String>,

    /// `transaction` for a pooler in transaction mode, such as PgBouncer [default: none]
    #[arg(long, env = "DATABASE_POOLER", value_name = "MODE")]
    pub database_pooler: Option<String>,
}

/// What stands between this process and PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooler {
    /// Each of our connections is a session of the server until we close it: there is no
    /// pooler, or one in session mode.
    None,
    /// A pooler in transaction mode: each of our transactions may run in another session,
    /// which others use in between.
    Transaction,
}

/// The settings of the database.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// The server, the database and the credentials.
    pub options: PgConnectOptions,
    /// The maximum number of connections that this process opens.
    pub max_connections: u32,
    /// What stands between this process and the server.
    pub pooler: Pooler,
}

impl DatabaseArgs {
    /// Checks the settings.
    pub fn check(&self, checker: &mut Checker) -> Result<DatabaseConfig, Invalid> {
        let expected = "a PostgreSQL URL, postgres://user:password@host:port/database";
        let options = read_secret(checker, "DATABASE_URL").and_then(|url| {
            let url = checker.secret("DATABASE_URL", url.as_ref(), expected);
            url.required(|url| {
                let scheme = url.split("://").next()?;
                let is_known = matches!(scheme, "postgres" | "postgresql");
                let options: PgConnectOptions = url.parse().ok().filter(|_| is_known)?;
                // PgBouncer refuses this start-up parameter, and we read no floating-point numbers.
                let options = options.extra_float_digits(None);
                Some(options.disable_statement_logging())
            })
        });
        let max_connections = checker
            .setting(
                "DATABASE_MAX_CONNECTIONS",
                self.database_max_connections.as_deref(),
                "a whole number from 5 to 1000",
            )
            .or_default(10, |text| {
                text.parse().ok().filter(|n| (5..=1000).contains(n))
            });
        let pooler = self.pooler(checker, "transaction or none");
        let pooler = pooler.or_default(Pooler::None, |text| match text {
            "transaction" => Some(Pooler::Transaction),
            "none" => Some(Pooler::None),
            _ => None,
        });
        Ok(DatabaseConfig {
            options: options?,
            max_connections: max_connections?,
            pooler: pooler?,
        })
    }

    /// Checks that there is no pooler in transaction mode, for what needs a session.
    pub fn check_session(&self, checker: &mut Checker) {
        if self.database_pooler.as_deref() == Some("transaction") {
            let expected = "none, and a DATABASE_URL that names PostgreSQL itself: a migration \
                            needs a session, which a pooler in transaction mode does not give";
            self.pooler(checker, expected).report();
        }
    }

    fn pooler<'a>(&'a self, checker: &'a mut Checker, expected: &'static str) -> Setting<'a> {
        let given = self.database_pooler.as_deref();
        checker.setting("DATABASE_POOLER", given, expected)
    }
}
