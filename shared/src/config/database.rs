use clap::Args;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

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
}

/// The settings of the database.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// The server, the database and the credentials.
    pub options: PgConnectOptions,
    /// The maximum number of connections that this process opens.
    pub max_connections: u32,
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
        Ok(DatabaseConfig {
            options: options?,
            max_connections: max_connections?,
        })
    }
}
