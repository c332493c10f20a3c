use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgRow;
use sqlx::{Connection, FromRow, Postgres};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout};

use super::loan::{Loan, PRESENT};
use super::pool::{Pool, Query};
use crate::store::StoreError;
use crate::store::impl_store::within_deadline;

/// The time after its last use for which a connection counts as unbroken. Few servers
/// restart faster.
pub(super) const FRESH: Duration = Duration::from_secs(1);

/// The time after its last use when a connection goes back to the pool. Some networks
/// forget a connection that is idle for minutes, and tell nobody.
const IDLE: Duration = Duration::from_mins(1);

/// The time limit for the test of a connection. It leaves most of the caller's time for the
/// statement on another one.
pub(super) const TEST: Duration = Duration::from_millis(500);

/// The number of kept connections of this process that broke. If one did, others may have.
#[derive(Clone, Default)]
pub(super) struct Broken(Arc<AtomicU64>);

/// A connection that is kept between the statements of a task, or of a few that take turns, so
/// that they need neither the pool nor the pool's tests before and after each use.
pub(super) struct KeptConnection {
    pool: Pool,
    kept: Mutex<Option<Kept>>,
    broken: Broken,
}

struct Kept {
    connection: PoolConnection<Postgres>,
    /// When it came from the pool.
    since: Instant,
    last_used: Instant,
    /// The value of [`Broken`] then.
    broken: u64,
}

impl KeptConnection {
    pub(super) fn new(pool: Pool, broken: Broken) -> Self {
        Self {
            pool,
            kept: Mutex::default(),
            broken,
        }
    }

    /// Makes sure that there is a connection that works, because what writes must not meet a
    /// broken one. It is tested, and replaced if it is broken, if nobody has used it for a
    /// moment or if another connection broke since.
    pub(super) async fn prepare(&self) -> Result<(), StoreError> {
        let mut lent = self.lend().await?;
        if lent.is_doubtful() && !lent.works().await {
            drop(lent); // closes it
            lent = self.lend().await?;
        }
        lent.give_back();
        Ok(())
    }

    /// Runs a statement once.
    pub(super) async fn run<'q, R>(&self, query: Query<'q, R>) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin + 'q,
    {
        self.lend().await?.run(query).await
    }

    /// Reads rows. If the connection has broken while it was kept, it reads again with a new
    /// one, because that changes nothing.
    pub(super) async fn read<'q, R>(
        &self,
        query: impl Fn() -> Query<'q, R> + Send + Sync,
    ) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin + 'q,
    {
        let lent = self.lend().await?;
        let was_kept = lent.was_kept;
        match lent.run(query()).await {
            Err(error @ StoreError::TimedOut) => Err(error),
            // Rare branches are boxed. Otherwise the future of every lookup takes 30 kB.
            Err(error) if was_kept && error.is_transient() => Box::pin(self.run(query())).await,
            result => result,
        }
    }

    async fn lend(&self) -> Result<Lent<'_>, StoreError> {
        let mut place = self.kept.lock().await;
        let mut kept = place.take();
        // One that was idle for long is tested and goes back to the pool. So does one that may
        // lead to a server that takes no writes any more, and the pool closes it.
        let is_good = |kept: &Kept| {
            kept.last_used.elapsed() < IDLE && !self.pool.became_read_only_after(kept.since)
        };
        if let Some(rejected) = kept.take_if(|kept| !is_good(kept)) {
            drop(Loan::new(rejected.connection)); // which settles it
        }
        let was_kept = kept.is_some();
        let kept = if let Some(kept) = kept {
            kept
        } else {
            let connection = Box::pin(within_deadline(self.pool.acquire())).await?;
            self.keep(connection, Instant::now())
        };
        Ok(Lent {
            keeper: self,
            place,
            kept: Some(kept),
            was_kept,
        })
    }

    fn keep(&self, connection: PoolConnection<Postgres>, since: Instant) -> Kept {
        Kept {
            connection,
            since,
            last_used: Instant::now(),
            broken: self.broken.0.load(Ordering::Relaxed),
        }
    }
}

/// A kept connection on loan. Unless it is given back, it is closed: after an error or a
/// cancelled call its state is not known.
struct Lent<'a> {
    keeper: &'a KeptConnection,
    place: MutexGuard<'a, Option<Kept>>,
    /// Present until it is given back.
    kept: Option<Kept>,
    /// False if it comes from the pool.
    was_kept: bool,
}

impl Lent<'_> {
    /// Runs a statement, and gives the connection back if the server has answered.
    async fn run<'q, R>(mut self, query: Query<'q, R>) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin + 'q,
    {
        let kept = self.kept.as_mut().expect(PRESENT);
        let rows = self.keeper.pool.rows(&mut kept.connection, query);
        let rows = within_deadline(rows).await;
        if rows.as_ref().err().is_none_or(StoreError::is_an_answer) {
            self.give_back();
        }
        rows
    }

    /// Keeps the connection for the next statement.
    fn give_back(mut self) {
        let kept = self.kept.take();
        *self.place = kept.map(|kept| self.keeper.keep(kept.connection, kept.since));
    }

    fn is_doubtful(&self) -> bool {
        let kept = self.kept.as_ref().expect(PRESENT);
        let broken = self.keeper.broken.0.load(Ordering::Relaxed);
        kept.last_used.elapsed() >= FRESH || kept.broken != broken
    }

    async fn works(&mut self) -> bool {
        let kept = self.kept.as_mut().expect(PRESENT);
        matches!(timeout(TEST, kept.connection.ping()).await, Ok(Ok(())))
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(kept) = self.kept.take() {
            self.keeper.broken.0.fetch_add(1, Ordering::Relaxed);
            drop(kept.connection.detach());
        }
    }
}
