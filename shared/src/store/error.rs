use std::borrow::Cow;
use std::sync::Arc;

use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;

use crate::coalesce::BatchError;
use crate::metrics::Failure;

/// The reason why the database did not do what it was asked.
///
/// The text is for logs. Clients learn only whether a retry may help.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database is down, unreachable, too slow or overloaded. A retry may help.
    #[error("the database is unavailable: {0}")]
    Unavailable(Arc<sqlx::Error>),
    /// The database did not answer in time. It may have done what was asked.
    #[error("the database did not answer within {:?}", super::DEADLINE)]
    TimedOut,
    /// Any other error: a defect, or a schema that is not ours.
    #[error("the database refused: {0}")]
    Internal(Arc<sqlx::Error>),
    /// The session of a transaction is not that of the one before it. A retry helps once the
    /// process was restarted with another setting.
    #[error("{explained}: {0}", explained = super::BEHIND_POOLER)]
    BehindPooler(Arc<sqlx::Error>),
    /// The schema could not be migrated.
    #[error("the migration failed: {0}")]
    Migration(Arc<MigrateError>),
}

impl StoreError {
    /// Returns whether a retry may help.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unavailable(_) | Self::TimedOut | Self::BehindPooler(_)
        )
    }
}

impl StoreError {
    /// Returns whether SQLite says that the file is damaged (11), or is no database (26).
    pub fn is_damage(&self) -> bool {
        let error: &sqlx::Error = match self {
            Self::Unavailable(error) | Self::Internal(error) | Self::BehindPooler(error) => error,
            Self::Migration(error) => match &**error {
                MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error,
                _ => return false,
            },
            Self::TimedOut => return false,
        };
        let code = error.as_database_error().and_then(DatabaseError::code);
        let code = code.filter(|code| code.len() < 5); // SQLite's are shorter than PostgreSQL's
        code.and_then(|code| code.parse::<u32>().ok())
            .is_some_and(|code| matches!(code & 0xff, 11 | 26))
    }
}

impl Failure for StoreError {
    fn error_type(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::TimedOut => "timed_out",
            Self::Internal(_) | Self::BehindPooler(_) | Self::Migration(_) => "internal",
        }
    }
}

impl StoreError {
    /// Returns the code of an error that the database has answered with.
    fn code(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Unavailable(error) | Self::Internal(error) | Self::BehindPooler(error) => {
                error.as_database_error()?.code()
            }
            Self::TimedOut | Self::Migration(_) => None,
        }
    }

    /// Returns whether the statement would have violated this constraint or unique index of
    /// PostgreSQL.
    pub(super) fn violates(&self, constraint: &str) -> bool {
        let error = match self {
            Self::Internal(error) => error.as_database_error(),
            _ => None,
        };
        error.and_then(sqlx::error::DatabaseError::constraint) == Some(constraint)
    }

    /// Returns whether the database has answered and keeps the connection: the statement
    /// failed, and nothing else. Errors of the classes 08 and 57P end the connection.
    pub(super) fn is_an_answer(&self) -> bool {
        let ends = |code: &str| code.starts_with("08") || code.starts_with("57P");
        self.code().is_some_and(|code| !ends(&code))
    }
}

impl BatchError for StoreError {
    fn timed_out() -> Self {
        Self::TimedOut
    }

    /// An outage is no question's fault, and neither is a missing table or privilege. Data that
    /// the database refuses is (classes 22 and 23), and a row that another transaction has
    /// locked for long (55P03).
    fn may_be_a_questions_fault(&self) -> bool {
        match self.code() {
            Some(code) => matches!(&code[..2], "22" | "23") || code == "55P03",
            None => !self.is_transient(),
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if is_transient(&error) {
            Self::Unavailable(Arc::new(error))
        } else if is_behind_pooler(&error) {
            Self::BehindPooler(Arc::new(error))
        } else {
            Self::Internal(Arc::new(error))
        }
    }
}

/// The error of a session that others use too.
#[derive(Debug, thiserror::Error)]
#[error("other connections use the same sessions")]
pub(super) struct SharedSession;

impl From<SharedSession> for sqlx::Error {
    fn from(error: SharedSession) -> Self {
        Self::Configuration(error.into())
    }
}

/// Returns whether a prepared statement is missing that we have prepared, or is there although
/// we have not (26000, 42P05). This happens if the pooler is in transaction mode and
/// [`Pooler::Transaction`](crate::config::Pooler::Transaction) is not set.
pub(super) fn is_behind_pooler(error: &sqlx::Error) -> bool {
    if let sqlx::Error::Configuration(error) = error {
        return error.is::<SharedSession>();
    }
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.is_some_and(|code| matches!(&*code, "26000" | "42P05"))
}

/// Returns whether the server takes no writes, or no longer.
pub(super) fn is_of_read_only_server(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.is_some_and(|code| code == "25006")
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        Self::Migration(Arc::new(error))
    }
}

fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_transient_code(&code)),
        _ => false,
    }
}

/// Returns whether a retry may help after an error with this code.
///
/// PostgreSQL: the classes 08 (connection), 28 (our credentials), 53 (resources),
/// 57 (shutdown, cancelled by the statement timeout), 58 (its own I/O), and the
/// single codes 25006 (a read-only server), 25P03 (a transaction
/// that was idle for too long), 3D000 (no such database), 40001 and
/// 40P01 (serialization, deadlock), 55000 (a standby, or the database takes no connections:
/// `ALTER DATABASE … ALLOW_CONNECTIONS false`) and 55P03 (lock timeout).
/// SQLite: 5 and 6 (busy, locked), 8 (read-only), 10 (I/O), 11 (damaged), 13 (full), 14 (cannot
/// open) and 26 (no database), in the low byte of an extended code. Some of them only an operator
/// can end.
fn is_transient_code(code: &str) -> bool {
    match code.len() {
        5 => {
            matches!(&code[..2], "08" | "28" | "53" | "57" | "58")
                || matches!(
                    code,
                    "25006" | "25P03" | "3D000" | "40001" | "40P01" | "55000" | "55P03"
                )
        }
        _ => code
            .parse::<u32>()
            .is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 8 | 10 | 11 | 13 | 14 | 26)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_that_may_pass_are_transient_and_others_are_not() {
        for code in [
            "08006", "57P01", "57014", "53300", "25006", "25P03", "55000", "5", "261", "13",
            "1032", "11",
        ] {
            assert!(is_transient_code(code), "{code}");
        }
        for code in ["23505", "42P01", "22021", "1", "19", "2067"] {
            assert!(!is_transient_code(code), "{code}");
        }
    }
}
