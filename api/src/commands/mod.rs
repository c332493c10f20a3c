//! The commands of the `api` binary, one file each.

mod migrate;
mod serve;
mod session;

use clap::Args;
use shared::config::{Checker, ConfigError, DatabaseArgs, LogArgs};
use shared::store::PostgresStore;
use shared::telemetry;

pub use migrate::migrate;
pub use serve::{ServeArgs, serve};
pub use session::{IssueArgs, issue_session};

/// The flags of a command that needs only the database.
#[derive(Debug, Args)]
pub struct StoreArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    log: LogArgs,
}

impl StoreArgs {
    /// Starts the log and prepares the store. `checker` holds the problems of the
    /// command's other settings.
    fn open(&self, mut checker: Checker) -> Result<PostgresStore, ConfigError> {
        let log = self.log.check(&mut checker);
        let database = self.database.check(&mut checker);
        let (log, database) = checker.finish(|| Ok((log?, database?)))?;
        telemetry::init(log);
        Ok(PostgresStore::new(database))
    }
}
