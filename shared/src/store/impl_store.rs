//! [`Store`](super::Store) on top of sqlx, once for both databases.

use super::{DEADLINE, StoreError};

/// Runs one statement under the deadline, so that a database that hangs costs the
/// caller seconds, not forever.
pub(super) async fn within_deadline<T>(
    statement: impl Future<Output = Result<T, sqlx::Error>> + Send,
) -> Result<T, StoreError> {
    match tokio::time::timeout(DEADLINE, statement).await {
        Ok(done) => Ok(done?),
        Err(_elapsed) => Err(StoreError::TimedOut),
    }
}

/// Implements [`Store`](super::Store) for a struct with a sqlx `pool` and a method
/// `run_migrations`. A macro names the sqlx types of each database, which no generic
/// bound can do legibly.
macro_rules! impl_store {
    ($store:ty) => {
        const _: () = {
            use async_trait::async_trait;

            use $crate::clock::Timestamp;
            use $crate::ids::{AccountId, KeyId};
            use $crate::secret_hash::SecretHash;
            use $crate::store::impl_store::within_deadline;
            use $crate::store::{
                Backlog, Claim, DeadLetter, Job, NewKey, Outcome, Rearm, Revoked, Store,
                StoreError, StoredKey, sql,
            };

            #[async_trait]
            impl Store for $store {
                async fn insert_key(&self, key: &NewKey) -> Result<bool, StoreError> {
                    let statement = sqlx::query(sql::INSERT_KEY)
                        .bind(key.id)
                        .bind(key.account_id.as_str())
                        .bind(key.key_hash.as_bytes())
                        .bind(key.key_prefix.as_str())
                        .bind(key.created_at);
                    let done = within_deadline(statement.execute(&self.pool)).await?;
                    Ok(done.rows_affected() == 1)
                }

                async fn active_key(
                    &self,
                    account: &AccountId,
                ) -> Result<Option<StoredKey>, StoreError> {
                    let query = sqlx::query_as(sql::ACTIVE_KEY).bind(account.as_str());
                    within_deadline(query.fetch_optional(&self.pool)).await
                }

                async fn key_by_hash(
                    &self,
                    hash: &SecretHash,
                ) -> Result<Option<StoredKey>, StoreError> {
                    let query = sqlx::query_as(sql::KEY_BY_HASH).bind(hash.as_bytes());
                    within_deadline(query.fetch_optional(&self.pool)).await
                }

                async fn revoke_key(
                    &self,
                    account: &AccountId,
                    now: Timestamp,
                ) -> Result<Option<Revoked>, StoreError> {
                    let query = sqlx::query_as(sql::REVOKE_KEY)
                        .bind(account.as_str())
                        .bind(now);
                    within_deadline(query.fetch_optional(&self.pool)).await
                }

                async fn touch_key(&self, id: KeyId, now: Timestamp) -> Result<(), StoreError> {
                    let statement = sqlx::query(sql::TOUCH_KEY).bind(id).bind(now);
                    within_deadline(statement.execute(&self.pool)).await?;
                    Ok(())
                }

                async fn due(&self, now: Timestamp, limit: i64) -> Result<Vec<Job>, StoreError> {
                    let query = sqlx::query_as(sql::DUE).bind(now).bind(limit);
                    within_deadline(query.fetch_all(&self.pool)).await
                }

                async fn claim(
                    &self,
                    job: Job,
                    lease_end: Timestamp,
                ) -> Result<Option<Claim>, StoreError> {
                    let query = sqlx::query_as(sql::CLAIM)
                        .bind(job.key_id)
                        .bind(job.attempt)
                        .bind(lease_end);
                    within_deadline(query.fetch_optional(&self.pool)).await
                }

                async fn finish(
                    &self,
                    claim: &Claim,
                    outcome: &Outcome,
                ) -> Result<bool, StoreError> {
                    let statement = match outcome {
                        Outcome::Provisioned { .. } => sqlx::query(sql::FINISH_PROVISIONED),
                        Outcome::Retry { .. } => sqlx::query(sql::FINISH_RETRY),
                        Outcome::DeadLetter { .. } => sqlx::query(sql::FINISH_DEAD_LETTER),
                    }
                    .bind(claim.key_id)
                    .bind(claim.attempt);
                    let statement = match outcome {
                        Outcome::Provisioned { svix_app_id } => statement.bind(svix_app_id),
                        Outcome::Retry { at, error } | Outcome::DeadLetter { at, error } => {
                            statement.bind(*at).bind(error)
                        }
                    };
                    let done = within_deadline(statement.execute(&self.pool)).await?;
                    Ok(done.rows_affected() == 1)
                }

                async fn reprovision(
                    &self,
                    id: KeyId,
                    now: Timestamp,
                ) -> Result<Option<Job>, StoreError> {
                    let query = sqlx::query_as(sql::REPROVISION).bind(now).bind(id);
                    within_deadline(query.fetch_optional(&self.pool)).await
                }

                async fn rearm(
                    &self,
                    which: Rearm,
                    now: Timestamp,
                    limit: i64,
                ) -> Result<Vec<Job>, StoreError> {
                    let query = match which {
                        Rearm::One(id) => sqlx::query_as(sql::REARM_ONE).bind(now).bind(id),
                        Rearm::DeadLetters => sqlx::query_as(sql::REARM_DEAD_LETTERS)
                            .bind(now)
                            .bind(limit),
                        Rearm::Waiting => sqlx::query_as(sql::REARM_WAITING).bind(now).bind(limit),
                    };
                    within_deadline(query.fetch_all(&self.pool)).await
                }

                async fn backlog(&self, now: Timestamp) -> Result<Backlog, StoreError> {
                    let query = sqlx::query_as(sql::BACKLOG).bind(now);
                    within_deadline(query.fetch_one(&self.pool)).await
                }

                async fn dead_letters(&self, limit: i64) -> Result<Vec<DeadLetter>, StoreError> {
                    let query = sqlx::query_as(sql::DEAD_LETTERS).bind(limit);
                    within_deadline(query.fetch_all(&self.pool)).await
                }

                async fn insert_session(
                    &self,
                    token: &SecretHash,
                    account: &AccountId,
                    now: Timestamp,
                    expires: Timestamp,
                ) -> Result<(), StoreError> {
                    let statement = sqlx::query(sql::INSERT_SESSION)
                        .bind(token.as_bytes())
                        .bind(account.as_str())
                        .bind(now)
                        .bind(expires);
                    within_deadline(statement.execute(&self.pool)).await?;
                    Ok(())
                }

                async fn session_account(
                    &self,
                    token: &SecretHash,
                    now: Timestamp,
                ) -> Result<Option<AccountId>, StoreError> {
                    let query = sqlx::query_scalar(sql::SESSION_ACCOUNT)
                        .bind(token.as_bytes())
                        .bind(now);
                    within_deadline(query.fetch_optional(&self.pool)).await
                }

                async fn migrate(&self) -> Result<(), StoreError> {
                    Ok(self.run_migrations().await?)
                }

                async fn ping(&self) -> Result<(), StoreError> {
                    let query = sqlx::query(sql::PING);
                    within_deadline(query.fetch_one(&self.pool)).await?;
                    Ok(())
                }
            }
        };
    };
}

pub(super) use impl_store;
