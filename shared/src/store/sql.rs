//! [`Store`](super::Store) in SQL, once for both databases.
//!
//! The statements keep to what PostgreSQL and SQLite share (`$1` parameters,
//! `ON CONFLICT`, `RETURNING`, partial indexes), so there is one text of each;
//! the macro only names the sqlx types, which no generic bound can do legibly.

/// The columns of a [`StoredKey`](super::StoredKey).
macro_rules! partner_columns {
    () => {
        "id, account_id, key_prefix, has_webhook, svix_app_id, created_at, last_used_at, \
         attempts, next_attempt_at, leased_until, failed_at"
    };
}

/// `ON CONFLICT` names the index that allows one active key an account; a
/// violation of anything else stays an error.
pub(super) const INSERT_KEY: &str = "
    INSERT INTO api_partners (id, account_id, key_hash, key_prefix, created_at, next_attempt_at)
    VALUES ($1, $2, $3, $4, $5, $5)
    ON CONFLICT (account_id) WHERE is_active DO NOTHING";

pub(super) const ACTIVE_KEY: &str = concat!(
    "SELECT ",
    partner_columns!(),
    " FROM api_partners WHERE account_id = $1 AND is_active"
);

pub(super) const KEY_BY_HASH: &str = concat!(
    "SELECT ",
    partner_columns!(),
    " FROM api_partners WHERE key_hash = $1 AND is_active"
);

pub(super) const REVOKE_KEY: &str = "
    UPDATE api_partners
    SET is_active = FALSE, revoked_at = $2, next_attempt_at = NULL, leased_until = NULL
    WHERE account_id = $1 AND is_active
    RETURNING id, svix_app_id";

pub(super) const TOUCH_KEY: &str = "UPDATE api_partners SET last_used_at = $2 WHERE id = $1";

pub(super) const DUE: &str = "
    SELECT id AS key_id, attempts AS attempt FROM api_partners
    WHERE next_attempt_at <= $1
    ORDER BY next_attempt_at
    LIMIT $2";

/// The claim. `next_attempt_at` is null wherever there is nothing to do
/// (provisioned, failed, revoked), so it is the one condition beside the fence.
pub(super) const CLAIM: &str = "
    UPDATE api_partners
    SET attempts = attempts + 1, next_attempt_at = $3, leased_until = $3
    WHERE id = $1 AND attempts = $2 AND next_attempt_at IS NOT NULL
    RETURNING id AS key_id, account_id, attempts AS attempt,
              attempts - armed_at_attempt AS tries, created_at";

/// What every completion is fenced by: it is the newest attempt, still open.
macro_rules! owned_by_claim {
    () => {
        " WHERE id = $1 AND attempts = $2 AND leased_until IS NOT NULL"
    };
}

pub(super) const FINISH_PROVISIONED: &str = concat!(
    "UPDATE api_partners SET has_webhook = TRUE, svix_app_id = $3, next_attempt_at = NULL, \
     leased_until = NULL, last_error = NULL",
    owned_by_claim!()
);

pub(super) const FINISH_RETRY: &str = concat!(
    "UPDATE api_partners SET next_attempt_at = $3, leased_until = NULL, last_error = $4",
    owned_by_claim!()
);

pub(super) const FINISH_DEAD_LETTER: &str = concat!(
    "UPDATE api_partners SET failed_at = $3, next_attempt_at = NULL, leased_until = NULL, \
     last_error = $4",
    owned_by_claim!()
);

/// Re-arming leaves `attempts` alone: it is the fence, and never goes back.
macro_rules! rearm {
    ($rows:literal) => {
        concat!(
            "UPDATE api_partners
             SET has_webhook = FALSE, svix_app_id = NULL, failed_at = NULL,
                 next_attempt_at = $1, armed_at_attempt = attempts
             WHERE is_active AND ",
            $rows,
            " RETURNING id AS key_id, attempts AS attempt"
        )
    };
}

pub(super) const REPROVISION: &str = rearm!("id = $2 AND has_webhook");

pub(super) const REARM_ONE: &str =
    rearm!("id = $2 AND leased_until IS NULL AND (failed_at IS NOT NULL OR next_attempt_at > $1)");

pub(super) const REARM_DEAD_LETTERS: &str = rearm!(
    "failed_at <= $1 AND id IN (
         SELECT id FROM api_partners
         WHERE is_active AND failed_at <= $1 ORDER BY failed_at LIMIT $2)"
);

pub(super) const REARM_WAITING: &str = rearm!(
    "leased_until IS NULL AND next_attempt_at > $1 AND id IN (
         SELECT id FROM api_partners
         WHERE next_attempt_at > $1 AND leased_until IS NULL LIMIT $2)"
);

pub(super) const BACKLOG: &str = "
    SELECT
        (SELECT count(*) FROM api_partners WHERE next_attempt_at <= $1) AS due,
        (SELECT count(*) FROM api_partners
         WHERE next_attempt_at > $1 AND leased_until IS NOT NULL) AS leased,
        (SELECT count(*) FROM api_partners
         WHERE next_attempt_at > $1 AND leased_until IS NULL) AS waiting,
        (SELECT count(*) FROM api_partners WHERE failed_at IS NOT NULL AND is_active) AS failed,
        (SELECT min(next_attempt_at) FROM api_partners WHERE next_attempt_at <= $1) AS oldest_due";

pub(super) const DEAD_LETTERS: &str = "
    SELECT id AS key_id, account_id, attempts, failed_at, last_error FROM api_partners
    WHERE failed_at IS NOT NULL AND is_active
    ORDER BY failed_at
    LIMIT $1";

pub(super) const INSERT_SESSION: &str = "
    INSERT INTO sessions (token_hash, account_id, created_at, expires_at) VALUES ($1, $2, $3, $4)";

pub(super) const SESSION_ACCOUNT: &str = "
    SELECT account_id FROM sessions
    WHERE token_hash = $1 AND revoked_at IS NULL AND expires_at > $2";

/// Reads no row; fails if the database or either table is not there.
pub(super) const PING: &str = "
    SELECT (SELECT count(*) FROM api_partners WHERE FALSE)
         + (SELECT count(*) FROM sessions WHERE FALSE)";

/// Runs one statement under the deadline, so that a database that hangs costs
/// its caller seconds, not for ever.
pub(super) async fn within_deadline<T>(
    statement: impl Future<Output = Result<T, sqlx::Error>> + Send,
) -> Result<T, super::StoreError> {
    match tokio::time::timeout(super::DEADLINE, statement).await {
        Ok(done) => Ok(done?),
        Err(_elapsed) => Err(super::StoreError::TimedOut),
    }
}

/// Implements [`Store`](super::Store) for a struct with a sqlx `pool` and
/// `run_migrations`.
macro_rules! impl_store {
    ($store:ty) => {
        #[async_trait::async_trait]
        impl $crate::store::Store for $store {
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

            async fn finish(&self, claim: &Claim, outcome: &Outcome) -> Result<bool, StoreError> {
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
}

pub(super) use impl_store;
