use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::{Connection, Executor, PgConnection, Postgres, SqlStr};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::store::DEADLINE;

/// A connection on loan from the pool, until it is given back.
///
/// If it is dropped before, because a client has gone or a time limit has passed, it is settled
/// first. sqlx alone would put it back as it is: after a `BEGIN` that was cancelled, others'
/// statements would run in its transaction and never be committed. And it would wait for a
/// silent server until TCP gives up, which takes a quarter of an hour.
#[derive(Debug)]
pub(super) struct Loan {
    /// Present until it is given back.
    connection: Option<PoolConnection<Postgres>>,
    /// True from before the start of a transaction until after its end.
    in_transaction: bool,
}

const PRESENT: &str = "the connection is there until it is given back";

impl Loan {
    pub(super) fn new(connection: PoolConnection<Postgres>) -> Self {
        Self {
            connection: Some(connection),
            in_transaction: false,
        }
    }

    /// Begins a transaction by this statement, or statements.
    pub(super) async fn begin(&mut self, statement: SqlStr) -> sqlx::Result<()> {
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
        // Without a runtime, the process ends.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(settle(connection, self.in_transaction));
        }
    }
}

/// Ends what was left undone on the connection, and gives it back. Closes it if the server does
/// not answer in time.
async fn settle(mut connection: PoolConnection<Postgres>, in_transaction: bool) {
    let settled = async {
        if in_transaction {
            connection.execute("ROLLBACK").await?;
        }
        connection.ping().await
    };
    if !matches!(timeout(DEADLINE, settled).await, Ok(Ok(()))) {
        drop(connection.detach());
    }
}
