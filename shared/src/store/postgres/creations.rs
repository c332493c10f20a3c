//! Creations of keys: all that are asked for at the same time are one statement, with
//! their entries in the audit trail.

use std::collections::HashSet;

use async_trait::async_trait;

use super::kept_connection::KeptConnection;
use super::{column, operation};
use crate::coalesce::Batch;
use crate::ids::KeyId;
use crate::metrics::Operation;
use crate::secret_hash::SecretHash;
use crate::store::{NewKey, Origin, StoreError, sql};

/// The index that allows each request one key.
const ONE_PER_REQUEST: &str = "api_partners_one_per_request";

/// Stores keys. The answer is false for an account that has an active key, and for a request
/// that has created a key before.
pub(super) struct Creations(pub(super) KeptConnection);

#[async_trait]
impl Batch for Creations {
    const OPERATION: Operation = operation("BATCH create keys");
    type Question = (NewKey, Origin);
    type Answer = bool;
    type Error = StoreError;

    async fn prepare(&self) -> Result<(), StoreError> {
        self.0.prepare().await
    }

    async fn run(&self, asked: &[Self::Question]) -> Result<Vec<bool>, StoreError> {
        let insert = sqlx::query_as(sql::INSERT_KEYS)
            .bind(column(asked, |(key, _)| key.id))
            .bind(column(asked, |(key, _)| key.account_id.as_str()))
            .bind(column(asked, |(key, _)| key.key_hash.as_bytes()))
            .bind(column(asked, |(key, _)| key.key_prefix.as_str()))
            .bind(column(asked, |(key, _)| key.created_at))
            .bind(column(asked, |(_, origin)| origin.actor.as_str()))
            .bind(column(asked, |(_, origin)| origin.reason.as_deref()))
            .bind(column(asked, |(_, origin)| origin.session_id.as_deref()))
            .bind(column(asked, |(_, origin)| {
                origin.client_address.as_deref()
            }))
            .bind(column(asked, |(_, origin)| origin.user_agent.as_deref()))
            .bind(column(asked, |(_, origin)| origin.request_id))
            .bind(column(asked, |(key, _)| {
                key.idempotency_hash.as_ref().map(SecretHash::as_bytes)
            }));
        let created: Result<Vec<(KeyId,)>, _> = self.0.run(insert).await;
        let created = match created {
            // The key of the same request was created and revoked while this statement waited.
            Err(error) if error.violates(ONE_PER_REQUEST) && asked.len() == 1 => Vec::new(),
            created => created?,
        };
        let created: HashSet<KeyId> = created.into_iter().map(|(id,)| id).collect();
        Ok(column(asked, |(key, _)| created.contains(&key.id)))
    }
}
