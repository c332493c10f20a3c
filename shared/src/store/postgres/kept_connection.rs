use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnection, PgPool, PgRow};
use sqlx::query::QueryAs;
use sqlx::{Connection, FromRow, Postgres};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::store::StoreError;
use crate::store::impl_store::within_deadline;

/// The time after its last use for which a connection counts as unbroken. Few servers
/// restart faster.
pub(super) const FRESH: Duration = Duration::from_secs(1);

/// The number of kept connections of this process that broke. If one did, others may have.
#[derive(Clone, Default)]
pub(super) struct Broken(Arc<AtomicU64>);

/// A connection that a task keeps between its batches, so that its statements need
/// neither the pool nor the pool's tests before and after each use.
pub(super) struct KeptConnection {
    pool: PgPool,
    kept: Mutex<Option<Kept>>,
    broken: Broken,
}

struct Kept {
    connection: PoolConnection<Postgres>,
    last_used: Instant,
    /// The value of [`Broken`] then.
    broken: u64,
}

impl KeptConnection {
    pub(super) fn new(pool: PgPool, broken: Broken) -> Self {
        Self {
            pool,
            kept: Mutex::default(),
            broken,
        }
    }

    /// Lends the connection for one statement that changes something, which must not meet a
    /// broken connection. It is tested, and replaced if it is broken, if nobody has used it
    /// for a moment or if another connection broke since.
    pub(super) async fn lend(&self) -> Result<Lent<'_>, StoreError> {
        let mut lent = self.lend_untested().await?;
        if lent.is_doubtful() && within_deadline(lent.ping()).await.is_err() {
            drop(lent); // closes it
            lent = self.lend_untested().await?;
        }
        Ok(lent)
    }

    async fn lend_untested(&self) -> Result<Lent<'_>, StoreError> {
        let mut place = self.kept.lock().await;
        let kept = match place.take() {
            Some(kept) => kept,
            None => self.keep(within_deadline(self.pool.acquire()).await?),
        };
        Ok(Lent {
            keeper: self,
            place,
            kept: Some(kept),
        })
    }

    fn keep(&self, connection: PoolConnection<Postgres>) -> Kept {
        Kept {
            connection,
            last_used: Instant::now(),
            broken: self.broken.0.load(Ordering::Relaxed),
        }
    }

    /// Reads rows. If the connection has just broken, it reads again with a new one, because
    /// that changes nothing.
    pub(super) async fn read<'q, R>(
        &self,
        query: impl Fn() -> QueryAs<'q, Postgres, R, PgArguments> + Send + Sync,
    ) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin + 'q,
    {
        match self.read_once(query()).await {
            Err(error @ StoreError::TimedOut) => Err(error),
            Err(error) if error.is_transient() => self.read_once(query()).await,
            result => result,
        }
    }

    async fn read_once<'q, R>(
        &self,
        query: QueryAs<'q, Postgres, R, PgArguments>,
    ) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin + 'q,
    {
        let mut connection = self.lend_untested().await?;
        let rows = within_deadline(query.fetch_all(&mut *connection)).await?;
        connection.give_back();
        Ok(rows)
    }
}

/// A kept connection on loan. Unless it is given back, it is closed: after an error or a
/// cancelled call its state is not known.
pub(super) struct Lent<'a> {
    keeper: &'a KeptConnection,
    place: MutexGuard<'a, Option<Kept>>,
    /// Present until it is given back.
    kept: Option<Kept>,
}

impl Lent<'_> {
    /// Keeps the connection for the next statement.
    pub(super) fn give_back(mut self) {
        let kept = self.kept.take();
        *self.place = kept.map(|kept| self.keeper.keep(kept.connection));
    }

    fn is_doubtful(&self) -> bool {
        let kept = self.kept.as_ref().expect(PRESENT);
        let broken = self.keeper.broken.0.load(Ordering::Relaxed);
        kept.last_used.elapsed() >= FRESH || kept.broken != broken
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

const PRESENT: &str = "the connection is there until it is given back";

impl Deref for Lent<'_> {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.kept.as_ref().expect(PRESENT).connection
    }
}

impl DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.kept.as_mut().expect(PRESENT).connection
    }
}
