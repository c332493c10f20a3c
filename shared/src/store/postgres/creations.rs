//! Creations of keys: all that are asked for at the same time are one statement, with
//! their entries in the audit trail.

use std::collections::HashSet;

use async_trait::async_trait;
use sqlx::postgres::PgPool;
use uuid::Uuid;

use super::coalesce::Batch;
use super::impl_store::within_deadline;
use super::{NewKey, Origin, StoreError, sql};

/// Stores keys. The answer is false for an account that has an active key.
///
/// It takes a connection from the pool for each batch, which tests it first: a creation
/// cannot be repeated, so it must not meet a connection that was lost since.
pub(super) struct Creations(pub(super) PgPool);

#[async_trait]
impl Batch for Creations {
    type Question = (NewKey, Origin);
    type Answer = bool;

    async fn run(&self, asked: &[Self::Question]) -> Result<Vec<bool>, StoreError> {
        let column = Column(asked);
        let insert = sqlx::query_scalar(sql::INSERT_KEYS)
            .bind(column.of(|key, _| key.id.0))
            .bind(column.of(|key, _| key.account_id.as_str()))
            .bind(column.of(|key, _| key.key_hash.as_bytes()))
            .bind(column.of(|key, _| key.key_prefix.as_str()))
            .bind(column.of(|key, _| key.created_at.to_offset_date_time()))
            .bind(column.of(|_, origin| origin.actor.as_str()))
            .bind(column.of(|_, origin| origin.reason.as_deref()))
            .bind(column.of(|_, origin| origin.session_id.as_deref()))
            .bind(column.of(|_, origin| origin.client_address.as_deref()))
            .bind(column.of(|_, origin| origin.user_agent.as_deref()))
            .bind(column.of(|_, origin| origin.request_id));
        let created: Vec<Uuid> = within_deadline(insert.fetch_all(&self.0)).await?;
        let created: HashSet<Uuid> = created.into_iter().collect();
        Ok(column.of(|key, _| created.contains(&key.id.0)))
    }
}

/// The rows of a batch, of which each parameter of the statement is one column.
struct Column<'a>(&'a [(NewKey, Origin)]);

impl<'a> Column<'a> {
    fn of<T>(&self, value: impl Fn(&'a NewKey, &'a Origin) -> T) -> Vec<T> {
        let rows = self.0.iter();
        rows.map(|(key, origin)| value(key, origin)).collect()
    }
}
