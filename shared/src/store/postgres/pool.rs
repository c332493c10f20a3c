use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::pool::{PoolConnection, PoolConnectionMetadata};
use sqlx::postgres::{PgArguments, PgPool, PgPoolOptions, PgRow};
use sqlx::query::QueryAs;
use sqlx::{
    AssertSqlSafe, Connection, Execute, Executor, FromRow, PgConnection, Postgres, Row, SqlSafeStr,
};
use tokio::time::Instant;

use super::kept_connection::FRESH;
use super::loan::Loan;
use super::transaction::{self, Answers, Transaction};
use super::turns::Turn;
use crate::config::{DatabaseConfig, Pooler};
use crate::store::error::{SharedSession, is_behind_pooler, is_of_read_only_server};
use crate::store::{BEHIND_POOLER, DEADLINE, sql};

/// The time for which a caller waits for a free connection. It is short, so that an
/// exhausted pool or a server that is down gives a prompt 503, not a growing queue.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// The time limit of a wait for a row that another transaction has locked. It leaves the
/// other questions of a batch enough of their time.
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_millis(800);

/// A statement that returns rows.
pub(super) type Query<'q, R> = QueryAs<'q, Postgres, R, PgArguments>;

/// The connections to PostgreSQL, and how a statement runs on one of them.
///
/// Without a pooler, a connection is set up when it is opened, and keeps its prepared
/// statements. Behind a pooler in transaction mode neither would last, and others would get
/// it. So each statement is there a transaction that sets itself up, and has no name.
#[derive(Clone)]
pub(super) struct Pool {
    connections: PgPool,
    pooler: Pooler,
    read_only: ReadOnly,
    sharing: Sharing,
}

/// Remembers that a pooler has shared a session of ours with another connection. From then on, a
/// prepared statement may be the other connection's, and answer another question. So no statement
/// is run any more.
#[derive(Clone, Default)]
struct Sharing(Arc<AtomicBool>);

impl Sharing {
    /// Fails once a session was shared.
    fn check(&self) -> sqlx::Result<()> {
        if self.0.load(Ordering::Relaxed) {
            return Err(SharedSession.into());
        }
        Ok(())
    }

    fn was_noticed(&self) {
        if !self.0.swap(true, Ordering::Relaxed) {
            tracing::error!("{BEHIND_POOLER}");
        }
    }
}

/// When a server last refused to write. The connections that are older may lead to a server
/// that is no longer the primary, so they are replaced.
#[derive(Clone, Default)]
struct ReadOnly(Arc<Mutex<Option<Instant>>>);

/// The shortest time between two such replacements: the primary itself may be read-only, and new
/// connections to it do not help.
const BETWEEN_REPLACEMENTS: Duration = Duration::from_secs(1);

impl ReadOnly {
    fn last(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_now(&self) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|at| at.elapsed() >= BETWEEN_REPLACEMENTS) {
            *last = Some(Instant::now());
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pool(…)")
    }
}

impl Pool {
    /// Prepares a pool. Connections are opened when they are first needed.
    pub(super) fn new(config: DatabaseConfig) -> Self {
        let (pooler, read_only) = (config.pooler, ReadOnly::default());
        let seen = read_only.clone();
        let sharing = Sharing::default();
        let noticed = sharing.clone();
        let connections = PgPoolOptions::new()
            .max_connections(config.max_connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            // Only a connection that has been idle can be broken unnoticed.
            .test_before_acquire(false)
            .before_acquire(move |connection, metadata| {
                let is_old = seen.last().is_some_and(|at| metadata.age > at.elapsed());
                Box::pin(async move { Ok(!is_old && works(connection, &metadata).await) })
            })
            .after_connect(move |connection, _| {
                let sharing = noticed.clone();
                Box::pin(async move {
                    match pooler {
                        Pooler::None => set_up_session(connection, &sharing).await,
                        Pooler::Transaction => Ok(()),
                    }
                })
            })
            .connect_lazy_with(config.options);
        Self {
            connections,
            pooler,
            read_only,
            sharing,
        }
    }

    /// Returns a pool of one connection that is not set up, so that a statement may take long.
    pub(super) fn without_deadline(&self) -> PgPool {
        let options = self.connections.connect_options();
        PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with((*options).clone())
    }

    pub(super) async fn acquire(&self) -> sqlx::Result<PoolConnection<Postgres>> {
        self.sharing.check()?;
        self.connections.acquire().await
    }

    async fn lend(&self) -> sqlx::Result<Loan> {
        Ok(Loan::new(self.acquire().await?))
    }

    /// Returns whether a server has refused to write since then.
    pub(super) fn became_read_only_after(&self, since: Instant) -> bool {
        self.read_only.last().is_some_and(|at| at >= since)
    }

    /// Runs a statement that returns rows on one of the connections.
    pub(super) async fn rows<'q, R>(
        &self,
        connection: &mut PgConnection,
        query: Query<'q, R>,
    ) -> sqlx::Result<Vec<R>>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin + 'q,
    {
        self.sharing.check()?;
        let rows = match self.pooler {
            Pooler::None => query.fetch_all(connection).await,
            Pooler::Transaction => Box::pin(transaction::rows(connection, query)).await,
        };
        self.seen(rows)
    }

    /// Runs any statement.
    pub(super) async fn answers<'q, E>(&self, query: E) -> sqlx::Result<Answers>
    where
        E: Execute<'q, Postgres> + 'q,
    {
        let mut loan = self.lend().await?;
        let answers = match self.pooler {
            Pooler::None => loan.fetch_many(query).try_collect().await,
            Pooler::Transaction => return self.seen(transaction::answers(loan, query).await),
        };
        loan.give_back();
        self.seen(answers)
    }

    /// Begins a transaction of several statements, which keeps the turn of an account until it
    /// has ended.
    pub(super) async fn begin(&self, turn: Option<Turn>) -> sqlx::Result<Transaction> {
        let mut loan = self.lend().await?;
        let begin = match self.pooler {
            Pooler::None => "BEGIN".into_sql_str(),
            Pooler::Transaction => transaction::BEGIN.clone(),
        };
        self.seen(loan.begin(begin, turn).await)?;
        Ok(Transaction::new(loan, self.clone()))
    }

    /// Takes notice of an error that says that the server takes no writes, or that a session is
    /// not ours alone. Then no result counts.
    pub(super) fn seen<T>(&self, result: sqlx::Result<T>) -> sqlx::Result<T> {
        if result.as_ref().is_err_and(is_of_read_only_server) {
            self.read_only.is_now();
        }
        if self.pooler == Pooler::None && result.as_ref().is_err_and(is_behind_pooler) {
            self.sharing.was_noticed();
        }
        self.sharing.check()?;
        result
    }

    pub(super) fn pooler(&self) -> Pooler {
        self.pooler
    }

    pub(super) fn size(&self) -> u32 {
        self.connections.size()
    }

    pub(super) fn num_idle(&self) -> usize {
        self.connections.num_idle()
    }

    pub(super) fn options(&self) -> &PgPoolOptions {
        self.connections.options()
    }
}

async fn works(connection: &mut PgConnection, metadata: &PoolConnectionMetadata) -> bool {
    metadata.idle_for < FRESH || connection.ping().await.is_ok()
}

/// Sets up a connection that is a session. These are not start-up options, because poolers
/// such as PgBouncer refuse those.
///
/// In a pooler in transaction mode, it meets what another connection has left in the session: a
/// prepared statement or, if the pooler takes care of these, the mark. So the first connections
/// show the error already.
async fn set_up_session(connection: &mut PgConnection, sharing: &Sharing) -> sqlx::Result<()> {
    let set_up = AssertSqlSafe(sql::set_up_session(DEADLINE, LOCK_TIMEOUT));
    let is_shared = match sqlx::query(set_up).fetch_one(connection).await {
        Ok(row) => row.try_get("is_shared")?,
        Err(error) if is_behind_pooler(&error) => true,
        Err(error) => return Err(error),
    };
    if is_shared {
        sharing.was_noticed();
        return Err(SharedSession.into());
    }
    Ok(())
}
