use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::{Connection, Executor, PgConnection, Postgres, SqlStr};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::kept_connection::TEST;
use super::turns::Turn;
use crate::store::DEADLINE;

/// A connection on loan from the pool, until it is given back.
///
/// If it is dropped before, because a client has gone or a time limit has passed, it is settled
/// first. sqlx alone would put it back as it is. After a `BEGIN` that was cancelled, others'
/// statements would run in its transaction and never be committed. And while the server is
/// silent, the connection would keep its place until TCP gives up, a quarter of an hour later.
#[derive(Debug)]
pub(super) struct Loan {
    /// Present until it is given back.
    connection: Option<PoolConnection<Postgres>>,
    /// True from before the start of a transaction until after its end.
    in_transaction: bool,
    /// The turn of the account that the transaction is about, which lasts as long.
    turn: Option<Turn>,
}

/// The statement that ends a transaction without its changes.
pub(super) const ROLLBACK: &str = "ROLLBACK";

/// Why the connection of a loan can be used.
pub(super) const PRESENT: &str = "the connection is there until it is given back";

impl Loan {
    pub(super) fn new(connection: PoolConnection<Postgres>) -> Self {
        Self {
            connection: Some(connection),
            in_transaction: false,
            turn: None,
        }
    }

    /// Begins a transaction by this statement, or statements. It keeps the turn until its end.
    pub(super) async fn begin(
        &mut self,
        statement: SqlStr,
        turn: Option<Turn>,
    ) -> sqlx::Result<()> {
        self.turn = turn;
        self.in_transaction = true;
        self.execute(sqlx::raw_sql(statement)).await?;
        Ok(())
    }

    /// Ends the transaction by this statement, and gives the connection back.
    pub(super) async fn end(mut self, statement: &'static str) -> sqlx::Result<()> {
        self.execute(statement).await?;
        self.give_back();
        Ok(())
    }

    /// Gives the connection back.
    pub(super) fn give_back(mut self) {
        drop(self.connection.take());
    }
}

impl Deref for Loan {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.connection.as_ref().expect(PRESENT)
    }
}

impl DerefMut for Loan {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect(PRESENT)
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        match Handle::try_current() {
            Ok(runtime) => {
                runtime.spawn(settle(connection, self.in_transaction, self.turn.take()));
            }
            // Nobody can settle it, so it is closed.
            Err(_no_runtime) => drop(connection.detach()),
        }
    }
}

/// Ends what was left undone on the connection, and gives it back. Closes it if the server does
/// not answer in time. The turn ends then too.
async fn settle(
    mut connection: PoolConnection<Postgres>,
    in_transaction: bool,
    _turn: Option<Turn>,
) {
    let limit = if in_transaction { DEADLINE } else { TEST };
    let settled = async {
        if in_transaction {
            connection.execute(ROLLBACK).await?;
        }
        connection.ping().await
    };
    if !matches!(timeout(limit, settled).await, Ok(Ok(()))) {
        drop(connection.detach());
    }
}
