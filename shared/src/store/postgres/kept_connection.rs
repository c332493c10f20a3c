use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool, PgRow};
use sqlx::{Connection, Encode, FromRow, Postgres, Type};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::store::StoreError;
use crate::store::impl_store::within_deadline;

/// The time after its last use for which a connection counts as unbroken. A server needs
/// longer to restart.
pub(super) const FRESH: Duration = Duration::from_millis(100);

/// A connection that a task keeps between its batches, so that its statements need
/// neither the pool nor the pool's tests before and after each use.
pub(super) struct KeptConnection {
    pool: PgPool,
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    connection: PoolConnection<Postgres>,
    last_used: Instant,
}

impl KeptConnection {
    pub(super) fn new(pool: PgPool) -> Self {
        Self {
            pool,
            kept: Mutex::default(),
        }
    }

    /// Lends the connection for one statement. If nobody has used it for a moment, it is
    /// tested first, and replaced if it is broken.
    pub(super) async fn lend(&self) -> Result<Lent<'_>, StoreError> {
        let mut place = self.kept.lock().await;
        if let Some(mut kept) = place.take() {
            let fresh = kept.last_used.elapsed() < FRESH;
            if fresh || within_deadline(kept.connection.ping()).await.is_ok() {
                let connection = Some(kept.connection);
                return Ok(Lent { place, connection });
            }
            drop(kept.connection.detach());
        }
        let connection = Some(within_deadline(self.pool.acquire()).await?);
        Ok(Lent { place, connection })
    }

    /// Reads the rows for these keys. If the connection has just broken, it reads again
    /// with a new one, because that changes nothing.
    pub(super) async fn read<R, K>(
        &self,
        statement: &'static str,
        keys: &[K],
    ) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
        K: Sync,
        for<'q> &'q [K]: Encode<'q, Postgres> + Type<Postgres>,
    {
        match self.read_once(statement, keys).await {
            Err(error @ StoreError::TimedOut) => Err(error),
            Err(error) if error.is_transient() => self.read_once(statement, keys).await,
            result => result,
        }
    }

    async fn read_once<R, K>(
        &self,
        statement: &'static str,
        keys: &[K],
    ) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
        K: Sync,
        for<'q> &'q [K]: Encode<'q, Postgres> + Type<Postgres>,
    {
        let mut connection = self.lend().await?;
        let query = sqlx::query_as(statement).bind(keys);
        let rows = within_deadline(query.fetch_all(&mut *connection)).await?;
        connection.give_back();
        Ok(rows)
    }
}

/// A kept connection on loan. Unless it is given back, it is closed: after an error or a
/// cancelled call its state is not known.
pub(super) struct Lent<'a> {
    place: MutexGuard<'a, Option<Kept>>,
    /// Present until it is given back.
    connection: Option<PoolConnection<Postgres>>,
}

impl Lent<'_> {
    /// Keeps the connection for the next statement.
    pub(super) fn give_back(mut self) {
        *self.place = self.connection.take().map(|connection| Kept {
            connection,
            last_used: Instant::now(),
        });
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        drop(self.connection.take().map(PoolConnection::detach));
    }
}

const PRESENT: &str = "the connection is there until it is given back";

impl Deref for Lent<'_> {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.connection.as_ref().expect(PRESENT)
    }
}

impl DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect(PRESENT)
    }
}
