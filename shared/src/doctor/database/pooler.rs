use std::collections::BTreeSet;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection, Row};

use super::POOLER;
use crate::config::Pooler;
use crate::doctor::Finding;

/// The number of times that two connections are asked for their session, in turn.
const ROUNDS: usize = 5;

/// Asks something in a transaction of its own, which is rolled back. Behind a pooler in
/// transaction mode, only the statements of one transaction are sure to reach the same session,
/// and each takes two round trips. They have no names: see `store/postgres/transaction.rs`.
pub(super) async fn in_transaction<T>(
    db: &mut PgConnection,
    ask: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
) -> Result<T, sqlx::Error> {
    let mut transaction = db.begin().await?;
    let answer = ask(&mut transaction).await;
    let ended = transaction.rollback().await;
    let answer = answer?;
    ended?;
    Ok(answer)
}

/// Looks whether two connections, which are open at the same time, share a session of the
/// server, or one has several. This is so behind a pooler in transaction mode, unless others
/// keep it busy. Compares that with the setting.
pub(super) async fn check(
    db: &mut PgConnection,
    options: &PgConnectOptions,
    pooler: Pooler,
) -> Result<Finding, sqlx::Error> {
    let mut other = options.connect().await?;
    let (mut first, mut second) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..ROUNDS {
        first.insert(session(db).await?);
        second.insert(session(&mut other).await?);
    }
    other.close().await?;
    let is_shared = first.len() > 1 || second.len() > 1 || first == second;
    Ok(judge(is_shared, pooler))
}

/// Asks for the session in one round trip, without a prepared statement.
async fn session(db: &mut PgConnection) -> Result<i32, sqlx::Error> {
    let row = sqlx::raw_sql("SELECT pg_backend_pid()")
        .fetch_one(db)
        .await?;
    row.try_get(0)
}

fn judge(is_shared: bool, pooler: Pooler) -> Finding {
    match (pooler, is_shared) {
        (Pooler::None, false) => {
            let message = "each connection is a session of the server, as DATABASE_POOLER says";
            Finding::ok(POOLER, message)
        }
        (Pooler::None, true) => Finding::error(
            POOLER,
            "DATABASE_URL names a pooler in transaction mode: it gives a session to several \
             connections, so the named statements and the settings of one are missing in the next \
             session, or meet those of another",
            "set DATABASE_POOLER=transaction, or use the pooler's session mode, or let \
             DATABASE_URL name PostgreSQL itself",
        ),
        (Pooler::Transaction, true) => {
            let message = "a pooler in transaction mode, as DATABASE_POOLER says";
            Finding::ok(POOLER, message)
        }
        (Pooler::Transaction, false) => {
            let message = "ready for a pooler in transaction mode; none was noticed";
            Finding::ok(POOLER, message)
        }
    }
}
