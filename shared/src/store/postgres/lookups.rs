//! The lookups of every request, each as one statement for all requests of the moment.

use std::collections::HashMap;
use std::hash::Hash;

use async_trait::async_trait;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgPool, PgRow};
use sqlx::{Encode, FromRow, Postgres, Type};
use tokio::sync::Mutex;

use super::coalesce::Batch;
use super::impl_store::within_deadline;
use super::{StoreError, StoredKey, sql};
use crate::clock::Timestamp;
use crate::ids::AccountId;
use crate::secret_hash::SecretHash;

/// A connection that a task keeps between its batches, so that no statement waits for the
/// pool, which tests a connection before and after each use.
pub(super) struct KeptConnection {
    pool: PgPool,
    kept: Mutex<Option<PoolConnection<Postgres>>>,
}

impl KeptConnection {
    pub(super) fn new(pool: PgPool) -> Self {
        Self {
            pool,
            kept: Mutex::default(),
        }
    }

    /// Reads the rows for these keys with the kept connection. If that is broken, because
    /// the server was restarted since, it reads again with a new one.
    async fn read<R, K>(&self, statement: &'static str, keys: &[K]) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
        K: Sync,
        for<'q> &'q [K]: Encode<'q, Postgres> + Type<Postgres>,
    {
        let mut kept = self.kept.lock().await;
        if let Some(connection) = kept.take() {
            match read_with(connection, &mut kept, statement, keys).await {
                Err(error @ StoreError::TimedOut) => return Err(error),
                Err(error) if error.is_transient() => {}
                result => return result,
            }
        }
        let connection = within_deadline(self.pool.acquire()).await?;
        read_with(connection, &mut kept, statement, keys).await
    }
}

/// Reads with this connection, and keeps it unless that failed.
async fn read_with<R, K>(
    mut connection: PoolConnection<Postgres>,
    kept: &mut Option<PoolConnection<Postgres>>,
    statement: &'static str,
    keys: &[K],
) -> Result<Vec<R>, StoreError>
where
    R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    K: Sync,
    for<'q> &'q [K]: Encode<'q, Postgres> + Type<Postgres>,
{
    let query = sqlx::query_as(statement).bind(keys);
    let result = within_deadline(query.fetch_all(&mut *connection)).await;
    if result.is_ok() {
        *kept = Some(connection);
    } else {
        // Its state is not known, so nobody may use it again.
        drop(connection.detach());
    }
    result
}

/// Finds the accounts of sessions.
pub(super) struct SessionAccounts(pub(super) KeptConnection);

#[async_trait]
impl Batch for SessionAccounts {
    type Question = (SecretHash, Timestamp);
    type Answer = Option<AccountId>;

    async fn run(&self, asked: &[Self::Question]) -> Result<Vec<Self::Answer>, StoreError> {
        type Row = (Vec<u8>, AccountId, Timestamp);
        let hashes: Vec<&[u8]> = asked.iter().map(|(hash, _)| hash.as_bytes()).collect();
        let rows: Vec<Row> = self.0.read(sql::SESSION_ACCOUNTS, &hashes).await?;
        let sessions = by_key(
            rows.into_iter()
                .map(|(hash, account, end)| (hash, (account, end))),
        );
        let account = |(hash, now): &Self::Question| {
            let (account, end) = sessions.get(hash.as_bytes())?;
            (end > now).then(|| account.clone())
        };
        Ok(asked.iter().map(account).collect())
    }
}

/// Finds the active keys of accounts.
pub(super) struct ActiveKeys(pub(super) KeptConnection);

#[async_trait]
impl Batch for ActiveKeys {
    type Question = AccountId;
    type Answer = Option<StoredKey>;

    async fn run(&self, asked: &[AccountId]) -> Result<Vec<Option<StoredKey>>, StoreError> {
        let accounts: Vec<&str> = asked.iter().map(AccountId::as_str).collect();
        let rows: Vec<StoredKey> = self.0.read(sql::ACTIVE_KEYS, &accounts).await?;
        let keys = by_key(rows.into_iter().map(|key| (key.account_id.clone(), key)));
        Ok(asked
            .iter()
            .map(|account| keys.get(account).cloned())
            .collect())
    }
}

/// Finds active keys by their hashes.
pub(super) struct KeysByHash(pub(super) KeptConnection);

#[derive(sqlx::FromRow)]
struct HashedKey {
    key_hash: Vec<u8>,
    #[sqlx(flatten)]
    key: StoredKey,
}

#[async_trait]
impl Batch for KeysByHash {
    type Question = SecretHash;
    type Answer = Option<StoredKey>;

    async fn run(&self, asked: &[SecretHash]) -> Result<Vec<Option<StoredKey>>, StoreError> {
        let hashes: Vec<&[u8]> = asked.iter().map(SecretHash::as_bytes).collect();
        let rows: Vec<HashedKey> = self.0.read(sql::KEYS_BY_HASH, &hashes).await?;
        let keys = by_key(rows.into_iter().map(|row| (row.key_hash, row.key)));
        let key = |hash: &SecretHash| keys.get(hash.as_bytes()).cloned();
        Ok(asked.iter().map(key).collect())
    }
}

fn by_key<K: Eq + Hash, V>(rows: impl Iterator<Item = (K, V)>) -> HashMap<K, V> {
    rows.collect()
}
