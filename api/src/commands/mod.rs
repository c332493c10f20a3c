//! The commands of the `api` binary, one file each.

mod doctor;
mod key;
mod migrate;
mod purge;
mod revoke;
mod serve;
mod session;

use clap::Args;
use serde::Serialize;
use shared::config::{Checker, ConfigError, DatabaseArgs, LogArgs};
use shared::outln;
use shared::store::{PostgresStore, StoreError};
use shared::telemetry;

pub use doctor::{DoctorArgs, doctor};
pub use key::{KeyCommand, key};
pub use migrate::migrate;
pub use purge::{PurgeArgs, purge};
pub use serve::{ServeArgs, serve};
pub use session::{SessionCommand, session};

/// The exit code of a command that found nothing to do its work on.
const NOTHING_FOUND: u8 = 3;

/// The number of rows that one statement changes, so that it ends within its time limit and
/// blocks nobody for long.
const BATCH: i64 = 1000;

/// Repeats a statement that changes at most [`BATCH`] rows, until it has changed fewer than
/// `least`. Returns how many rows were changed in all.
async fn in_batches(
    least: i64,
    change: impl AsyncFn(i64) -> Result<u64, StoreError>,
) -> anyhow::Result<i64> {
    let mut all = 0;
    loop {
        let changed = i64::try_from(change(BATCH).await?)?;
        all += changed;
        if changed < least {
            return Ok(all);
        }
    }
}

/// Prints the answer of a command for programs.
fn print_json(answer: &impl Serialize) -> anyhow::Result<()> {
    outln!("{}", serde_json::to_string_pretty(answer)?);
    Ok(())
}

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
