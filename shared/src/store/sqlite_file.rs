//! Copies of the embedded deployment's file, for backups.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{Connection, SqliteConnection};

use super::StoreError;
use super::sqlite::MIGRATOR;

/// The time for which a copy waits for a lock that the service holds.
const BUSY: Duration = Duration::from_secs(30);

/// The reason why a file is not a database that this program can use.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file could not be opened or read.
    #[error("{0}")]
    Unreadable(#[from] StoreError),
    /// What SQLite's integrity check has found.
    #[error("the file is damaged: {0}")]
    Damaged(String),
    /// A database, and not one of this service.
    #[error("the file is not a database of partner-keys")]
    NotOurs,
    /// A later version has written it.
    #[error(
        "its schema is newer than this program: it has version {theirs}, and this program knows \
         {ours}; use the program that wrote it, or a later one"
    )]
    Newer {
        /// The version of the file's schema.
        theirs: i64,
        /// The newest version that this program knows.
        ours: i64,
    },
}

impl From<sqlx::Error> for FileError {
    fn from(error: sqlx::Error) -> Self {
        let text = error.to_string();
        match StoreError::from(error) {
            error if error.is_damage() => Self::Damaged(text),
            error => Self::Unreadable(error),
        }
    }
}

/// Reads the whole file and checks that it is a complete database of this service, of this
/// version or an earlier one. Returns the number of keys in it.
pub async fn inspect(file: &Path) -> Result<i64, FileError> {
    let options = SqliteConnectOptions::new().filename(file).read_only(true);
    let mut db = SqliteConnection::connect_with(&options).await?;
    let result = inspect_open(&mut db).await;
    db.close().await?;
    result
}

async fn inspect_open(db: &mut SqliteConnection) -> Result<i64, FileError> {
    let check = "PRAGMA integrity_check(3)";
    let problems: Vec<String> = sqlx::query_scalar(check).fetch_all(&mut *db).await?;
    if problems != ["ok"] {
        return Err(FileError::Damaged(problems.join("; ").replace('\n', " ")));
    }
    let tables = "SELECT count(*) FROM sqlite_schema
                  WHERE type = 'table' AND name IN ('api_partners', 'sessions', '_sqlx_migrations')";
    let tables: i64 = sqlx::query_scalar(tables).fetch_one(&mut *db).await?;
    if tables != 3 {
        return Err(FileError::NotOurs);
    }
    let newest = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations";
    let theirs: i64 = sqlx::query_scalar(newest).fetch_one(&mut *db).await?;
    let ours = MIGRATOR.iter().map(|migration| migration.version);
    let ours = ours.max().unwrap_or(0);
    if theirs > ours {
        return Err(FileError::Newer { theirs, ours });
    }
    let keys = "SELECT count(*) FROM api_partners";
    Ok(sqlx::query_scalar(keys).fetch_one(db).await?)
}

/// Writes a copy of the database to `to`, which must not exist, as it is at one moment. The
/// service may run, and goes on writing. The copy is one file, without empty pages.
pub async fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(from)
        .busy_timeout(BUSY);
    let mut db = SqliteConnection::connect_with(&options).await?;
    let copied = sqlx::query("VACUUM INTO ?").bind(to.to_string_lossy());
    let copied = copied.execute(&mut db).await;
    db.close().await?;
    copied?;
    Ok(())
}

/// Moves what is in the database's log into its file, and removes the log, so that the file
/// alone is the database. No other process may use it.
pub async fn close_log(file: &Path) -> Result<(), StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Delete);
    let db = SqliteConnection::connect_with(&options).await?;
    db.close().await?;
    Ok(())
}
