//! The lookups of every request, each as one statement for all requests of the moment.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use super::kept_connection::KeptConnection;
use super::{column, operation};
use crate::clock::Timestamp;
use crate::coalesce::Batch;
use crate::ids::{AccountId, KeyId};
use crate::metrics::Operation;
use crate::secret_hash::SecretHash;
use crate::store::{AccountKeys, FoundKey, SessionKeys, StoreError, StoredKey, sql};

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
pub(super) struct KeysOfAccounts(pub(super) Arc<KeptConnection>);

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

/// Finds the keys of the accounts of sessions.
pub(super) struct KeysOfSessions(pub(super) Arc<KeptConnection>);

/// A session with one of its account's keys, or without any.
struct SessionKey {
    token_hash: Vec<u8>,
    account: AccountId,
    end: Timestamp,
    key: Option<StoredKey>,
}

impl FromRow<'_, PgRow> for SessionKey {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let key_id: Option<KeyId> = row.try_get("id")?;
        Ok(Self {
            token_hash: row.try_get("token_hash")?,
            account: row.try_get("session_account")?,
            end: row.try_get("session_end")?,
            key: key_id.map(|_| StoredKey::from_row(row)).transpose()?,
        })
    }
}

#[async_trait]
impl Batch for KeysOfSessions {
    const OPERATION: Operation = operation("BATCH find keys of sessions");
    type Question = (SecretHash, Timestamp);
    type Answer = Option<SessionKeys>;
    type Error = StoreError;

    async fn run(&self, asked: &[Self::Question]) -> Result<Vec<Self::Answer>, StoreError> {
        let hashes = column(asked, |(hash, _)| hash.as_bytes());
        let rows: Vec<SessionKey> = self
            .0
            .read(|| sqlx::query_as(sql::KEYS_OF_SESSIONS).bind(&hashes))
            .await?;
        let mut sessions: HashMap<Vec<u8>, (SessionKeys, Timestamp)> = HashMap::new();
        for row in rows {
            let (found, _) = sessions.entry(row.token_hash).or_insert_with(|| {
                let (account, keys) = (row.account, AccountKeys::default());
                (SessionKeys { account, keys }, row.end)
            });
            row.key.into_iter().for_each(|key| found.keys.add(key));
        }
        let keys = |(hash, now): &Self::Question| {
            let (found, end) = sessions.get(hash.as_bytes())?;
            (end > now).then(|| found.clone())
        };
        Ok(asked.iter().map(keys).collect())
    }
}

/// Finds keys that work by their hashes.
pub(super) struct KeysByHash(pub(super) KeptConnection);

#[derive(sqlx::FromRow)]
struct HashedKey {
    key_hash: Vec<u8>,
    #[sqlx(flatten)]
    key: FoundKey,
}

#[async_trait]
impl Batch for KeysByHash {
    const OPERATION: Operation = operation("BATCH find keys by hash");
    type Question = (SecretHash, Timestamp);
    type Answer = Option<FoundKey>;
    type Error = StoreError;

    async fn run(&self, asked: &[Self::Question]) -> Result<Vec<Option<FoundKey>>, StoreError> {
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
