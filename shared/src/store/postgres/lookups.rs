//! The lookups of every request, each as one statement for all requests of the moment.

use std::collections::HashMap;
use std::hash::Hash;

use async_trait::async_trait;

use super::kept_connection::KeptConnection;
use super::{column, operation};
use crate::clock::Timestamp;
use crate::coalesce::Batch;
use crate::ids::AccountId;
use crate::metrics::Operation;
use crate::secret_hash::SecretHash;
use crate::store::{AccountKeys, StoreError, StoredKey, sql};

/// Finds the accounts of sessions.
pub(super) struct SessionAccounts(pub(super) KeptConnection);

#[async_trait]
impl Batch for SessionAccounts {
    const OPERATION: Operation = operation("BATCH find accounts of sessions");
    type Question = (SecretHash, Timestamp);
    type Answer = Option<AccountId>;
    type Error = StoreError;

    async fn run(&self, asked: &[Self::Question]) -> Result<Vec<Self::Answer>, StoreError> {
        type Row = (Vec<u8>, AccountId, Timestamp);
        let hashes = column(asked, |(hash, _)| hash.as_bytes());
        let rows: Vec<Row> = self
            .0
            .read(|| sqlx::query_as(sql::SESSION_ACCOUNTS).bind(&hashes))
            .await?;
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

/// Finds the keys of accounts.
pub(super) struct KeysOfAccounts(pub(super) KeptConnection);

#[async_trait]
impl Batch for KeysOfAccounts {
    const OPERATION: Operation = operation("BATCH find keys of accounts");
    type Question = AccountId;
    type Answer = AccountKeys;
    type Error = StoreError;

    async fn run(&self, asked: &[AccountId]) -> Result<Vec<AccountKeys>, StoreError> {
        let accounts = column(asked, AccountId::as_str);
        let rows: Vec<StoredKey> = self
            .0
            .read(|| sqlx::query_as(sql::KEYS_OF_ACCOUNTS).bind(&accounts))
            .await?;
        let mut keys: HashMap<AccountId, AccountKeys> = HashMap::new();
        for key in rows {
            keys.entry(key.account_id.clone()).or_default().add(key);
        }
        Ok(column(asked, |account| {
            keys.get(account).cloned().unwrap_or_default()
        }))
    }
}

/// Finds keys that work by their hashes.
pub(super) struct KeysByHash(pub(super) KeptConnection);

#[derive(sqlx::FromRow)]
struct HashedKey {
    key_hash: Vec<u8>,
    #[sqlx(flatten)]
    key: StoredKey,
}

#[async_trait]
impl Batch for KeysByHash {
    const OPERATION: Operation = operation("BATCH find keys by hash");
    type Question = (SecretHash, Timestamp);
    type Answer = Option<StoredKey>;
    type Error = StoreError;

    async fn run(&self, asked: &[Self::Question]) -> Result<Vec<Option<StoredKey>>, StoreError> {
        let hashes = column(asked, |(hash, _)| hash.as_bytes());
        let rows: Vec<HashedKey> = self
            .0
            .read(|| sqlx::query_as(sql::KEYS_BY_HASH).bind(&hashes))
            .await?;
        let keys = by_key(rows.into_iter().map(|row| (row.key_hash, row.key)));
        let key = |(hash, now): &Self::Question| {
            let key = keys.get(hash.as_bytes())?;
            key.is_live(*now).then(|| key.clone())
        };
        Ok(asked.iter().map(key).collect())
    }
}

fn by_key<K: Eq + Hash, V>(rows: impl Iterator<Item = (K, V)>) -> HashMap<K, V> {
    rows.collect()
}
