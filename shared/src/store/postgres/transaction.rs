//! Statements in transactions, and without names where the next transaction may be in another
//! session: sqlx would otherwise prepare a statement in one session and run it in another.

use std::ops::{Deref, DerefMut};
use std::sync::LazyLock;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use sqlx::postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{
    AssertSqlSafe, Describe, Either, Execute, Executor, FromRow, PgConnection, Postgres,
    SqlSafeStr, SqlStr,
};

use super::loan::{Loan, ROLLBACK};
use super::pool::{LOCK_TIMEOUT, Pool, Query};
use crate::config::Pooler;
use crate::store::{DEADLINE, sql};

/// What a statement has answered.
pub(super) type Answers = Vec<Answer>;
type Answer = Either<PgQueryResult, PgRow>;

/// Begins a transaction that sets itself up. All of it is one round trip. The first statement is
/// before `BEGIN`, so that no transaction is left open when it fails.
pub(super) static BEGIN: LazyLock<SqlStr> = LazyLock::new(|| {
    let set_up = sql::set_up(true, DEADLINE, LOCK_TIMEOUT);
    let begin = format!("SELECT {}; BEGIN; {set_up}", sql::FAIL_ON_STANDBY);
    AssertSqlSafe(begin).into_sql_str()
});

/// Runs a statement that returns rows in a transaction of its own.
pub(super) async fn rows<'q, R>(
    connection: &mut PgConnection,
    query: Query<'q, R>,
) -> sqlx::Result<Vec<R>>
where
    R: for<'r> FromRow<'r, PgRow> + Send + Unpin + 'q,
{
    if let Err(error) = connection.execute(sqlx::raw_sql(BEGIN.clone())).await {
        connection.execute(ROLLBACK).await?; // it may have begun before it failed
        return Err(error);
    }
    let rows = query.persistent(false).fetch_all(&mut *connection).await;
    connection.execute(end_of(&rows)).await?;
    rows
}

/// Runs any statement in a transaction of its own.
pub(super) async fn answers<'q, E>(mut loan: Loan, query: E) -> sqlx::Result<Answers>
where
    E: Execute<'q, Postgres> + 'q,
{
    loan.begin(BEGIN.clone(), None).await?;
    let answers = unnamed(&mut loan, query).await;
    loan.end(end_of(&answers)).await?;
    answers
}

const COMMIT: &str = "COMMIT";

/// Returns the statement that ends a transaction with this result.
fn end_of<T>(result: &sqlx::Result<T>) -> &'static str {
    if result.is_ok() { COMMIT } else { ROLLBACK }
}

async fn unnamed<'q, E>(connection: &mut PgConnection, mut query: E) -> sqlx::Result<Answers>
where
    E: Execute<'q, Postgres> + 'q,
{
    let arguments = query.take_arguments().map_err(sqlx::Error::Encode)?;
    let query = sqlx::query_with(query.sql(), arguments.unwrap_or_default());
    let answers = connection.fetch_many(query.persistent(false));
    answers.try_collect().await
}

/// A transaction of several statements. It is rolled back if it is dropped.
pub(super) struct Transaction(Statements);

impl Transaction {
    /// Continues the transaction that was begun on this connection.
    pub(super) fn new(begun: Loan, pool: Pool) -> Self {
        Self(Statements { begun, pool })
    }

    pub(super) async fn commit(self) -> sqlx::Result<()> {
        self.0.begun.end(COMMIT).await
    }

    pub(super) async fn rollback(self) -> sqlx::Result<()> {
        self.0.begun.end(ROLLBACK).await
    }
}

impl Deref for Transaction {
    type Target = Statements;

    fn deref(&self) -> &Statements {
        &self.0
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Statements {
        &mut self.0
    }
}

/// The statements of a transaction.
#[derive(Debug)]
pub(super) struct Statements {
    begun: Loan,
    pool: Pool,
}

impl Statements {
    async fn answers<'q, E>(&mut self, query: E) -> sqlx::Result<Answers>
    where
        E: Execute<'q, Postgres> + 'q,
    {
        let answers = match self.pool.pooler() {
            Pooler::None => self.begun.fetch_many(query).try_collect().await,
            Pooler::Transaction => unnamed(&mut self.begun, query).await,
        };
        self.pool.seen(answers)
    }
}

impl<'c> Executor<'c> for &'c Pool {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, sqlx::Result<Answer>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        stream_of(self.answers(query))
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        first_row_of(self.answers(query))
    }

    fn prepare_with<'e>(
        self,
        _sql: SqlStr,
        _parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'c: 'e,
    {
        nothing_is_prepared()
    }

    fn describe<'e>(self, _sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<Postgres>>>
    where
        'c: 'e,
    {
        nothing_is_prepared()
    }
}

impl<'c> Executor<'c> for &'c mut Statements {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, sqlx::Result<Answer>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        stream_of(self.answers(query))
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        first_row_of(self.answers(query))
    }

    fn prepare_with<'e>(
        self,
        _sql: SqlStr,
        _parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'c: 'e,
    {
        nothing_is_prepared()
    }

    fn describe<'e>(self, _sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<Postgres>>>
    where
        'c: 'e,
    {
        nothing_is_prepared()
    }
}

fn stream_of<'e>(
    answers: impl Future<Output = sqlx::Result<Answers>> + Send + 'e,
) -> BoxStream<'e, sqlx::Result<Answer>> {
    let answers = stream::once(answers).map_ok(|answers| stream::iter(answers).map(Ok));
    answers.try_flatten().boxed()
}

fn first_row_of<'e>(
    answers: impl Future<Output = sqlx::Result<Answers>> + Send + 'e,
) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>> {
    let first = |answers: Answers| answers.into_iter().find_map(Either::right);
    async move { Ok(first(answers.await?)) }.boxed()
}

/// The store runs each statement by its text.
fn nothing_is_prepared<'e, T: Send + 'e>() -> BoxFuture<'e, sqlx::Result<T>> {
    let text = "a statement cannot be prepared ahead".to_owned();
    std::future::ready(Err(sqlx::Error::Protocol(text))).boxed()
}
