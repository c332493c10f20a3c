//! [`Store`](super::Store) on top of sqlx: what both databases do alike. The rest is in
//! `postgres/` and `sqlite.rs`.

use super::{DEADLINE, StoreError};

/// Runs a statement or a transaction under the deadline, so that a database that hangs costs the
/// caller seconds, not forever.
pub(super) async fn within_deadline<T>(
    statement: impl Future<Output = Result<T, sqlx::Error>> + Send,
) -> Result<T, StoreError> {
    match tokio::time::timeout(DEADLINE, statement).await {
        Ok(done) => Ok(done?),
        Err(_elapsed) => Err(StoreError::TimedOut),
    }
}

/// Returns the statement that records an event.
macro_rules! event {
    ($statement:expr, $id:expr, $now:expr, $kind:expr, $origin:expr) => {
        sqlx::query($statement)
            .bind($id)
            .bind($now)
            .bind($kind.as_str())
            .bind($origin.actor.as_str())
            .bind(&$origin.reason)
            .bind(&$origin.session_id)
            .bind(&$origin.client_address)
            .bind(&$origin.user_agent)
            .bind($origin.request_id)
    };
}

/// Implements [`Store`](super::Store) for a struct with a sqlx `pool` and methods such as
/// `run_migrations` and `begin`, beside a type `Transaction`. A transaction that changes nothing
/// is rolled back at once: one that is only dropped keeps its locks for a moment. `$operation` names what is measured. A macro
/// names the sqlx types of each database, which no generic bound can do legibly.
macro_rules! impl_store {
    ($store:ty, $database:ty, $operation:path) => {
        const _: () = {
            use async_trait::async_trait;

            use $crate::clock::Timestamp;
            use $crate::ids::{AccountId, KeyId};
            use $crate::metrics::PoolUse;
            use $crate::secret_hash::SecretHash;
            use $crate::store::impl_store::{event, within_deadline};
            use $crate::store::{
                AccountKeys, Backlog, Canceled, Claim, DeadLetter, EventKind, FoundKey, Job,
                KeyEvent, KeyFilter, KeyOfRequest, ListedKey, ListedSession, NewKey, Origin,
                Outcome, Rearm, Revocation, Revoked, SessionKeys, Started, Store, StoreError, sql,
            };

            impl $store {
                /// Runs a statement or a transaction under the deadline, and measures it.
                async fn run<T>(
                    &self,
                    summary: &'static str,
                    statement: impl Future<Output = Result<T, sqlx::Error>> + Send,
                ) -> Result<T, StoreError> {
                    let operation = $operation(summary);
                    operation.measure(within_deadline(statement)).await
                }
            }

            type Query<'q> = sqlx::query::QueryAs<
                'q,
                $database,
                Revoked,
                <$database as sqlx::Database>::Arguments,
            >;

            /// Runs a statement that revokes keys, and records it of those that worked
            /// until then.
            async fn revoke(
                transaction: &mut Transaction,
                statement: Query<'_>,
                now: Timestamp,
                origin: &Origin,
            ) -> Result<Vec<Revoked>, sqlx::Error> {
                let mut revoked = statement.fetch_all(&mut **transaction).await?;
                revoked.retain(|revoked| revoked.is_new);
                for revoked in &revoked {
                    let (id, kind) = (revoked.key_id, EventKind::Revoked);
                    let event = event!(sql::INSERT_EVENT, id, now, kind, origin);
                    event.execute(&mut **transaction).await?;
                }
                Ok(revoked)
            }

            #[async_trait]
            impl Store for $store {
                async fn insert_key(
                    &self,
                    key: &NewKey,
                    origin: &Origin,
                ) -> Result<bool, StoreError> {
                    self.create_key(key, origin).await
                }

                async fn key_of_request(
                    &self,
                    account: &AccountId,
                    idempotency_hash: &SecretHash,
                ) -> Result<Option<KeyOfRequest>, StoreError> {
                    let query = sqlx::query_as(sql::KEY_OF_REQUEST)
                        .bind(account.as_str())
                        .bind(idempotency_hash.as_bytes());
                    self.run("find key of request", query.fetch_optional(&self.pool))
                        .await
                }

                async fn keys_of(&self, account: &AccountId) -> Result<AccountKeys, StoreError> {
                    self.find_keys_of(account).await
                }

                async fn key_by_hash(
                    &self,
                    hash: &SecretHash,
                    now: Timestamp,
                ) -> Result<Option<FoundKey>, StoreError> {
                    self.find_key_by_hash(hash, now).await
                }

                async fn revoke_keys(
                    &self,
                    account: &AccountId,
                    now: Timestamp,
                    origin: &Origin,
                ) -> Result<Vec<Revoked>, StoreError> {
                    let statement = sqlx::query_as(sql::REVOKE_KEYS).bind(account.as_str());
                    self.run("revoke keys", async {
                        let mut transaction = self.begin_for(account).await?;
                        let revoke = revoke(&mut transaction, statement.bind(now), now, origin);
                        let revoked = revoke.await?;
                        transaction.commit().await?;
                        Ok(revoked)
                    })
                    .await
                }

                async fn start_rotation(
                    &self,
                    key: &NewKey,
                    end: Timestamp,
                    origin: &Origin,
                ) -> Result<Started, StoreError> {
                    let (account, now) = (key.account_id.as_str(), key.created_at);
                    let forget = sqlx::query(sql::FORGET_PREVIOUS_KEY).bind(account);
                    let replace = sqlx::query_as(sql::REPLACE_ACTIVE_KEY)
                        .bind(account)
                        .bind(end)
                        .bind((end > now).then_some(end));
                    self.run("start rotation", async {
                        let mut transaction = self.begin_for(&key.account_id).await?;
                        if let Some(hash) = &key.idempotency_hash {
                            let earlier: Option<KeyOfRequest> = sqlx::query_as(sql::KEY_OF_REQUEST)
                                .bind(account)
                                .bind(hash.as_bytes())
                                .fetch_optional(&mut *transaction)
                                .await?;
                            if let Some(earlier) = earlier {
                                transaction.rollback().await?;
                                return Ok(Started::Repeated(earlier));
                            }
                        }
                        forget.bind(now).execute(&mut *transaction).await?;
                        let previous: Option<Revoked> =
                            replace.fetch_optional(&mut *transaction).await?;
                        let Some(previous) = previous else {
                            let under_way = sqlx::query_scalar(sql::HAS_PREVIOUS_KEY);
                            let under_way = under_way.bind(account);
                            let under_way: bool = under_way.fetch_one(&mut *transaction).await?;
                            transaction.rollback().await?;
                            return Ok(if under_way {
                                Started::UnderWay
                            } else {
                                Started::NoKey
                            });
                        };
                        let insert = sqlx::query(sql::INSERT_SUCCESSOR)
                            .bind(key.id)
                            .bind(account)
                            .bind(key.key_hash.as_bytes())
                            .bind(key.key_prefix.as_str())
                            .bind(now)
                            .bind(&previous.svix_app_id)
                            .bind(previous.key_id)
                            .bind(key.idempotency_hash.as_ref().map(SecretHash::as_bytes));
                        insert.execute(&mut *transaction).await?;
                        let until = origin.because(format!("works until {end}"));
                        for (id, kind, origin) in [
                            (previous.key_id, EventKind::Replaced, &until),
                            (key.id, EventKind::Created, origin),
                        ] {
                            let event = event!(sql::INSERT_EVENT, id, now, kind, origin);
                            event.execute(&mut *transaction).await?;
                        }
                        transaction.commit().await?;
                        let job = Job::new(key.id, 0);
                        let job = previous.svix_app_id.is_none().then_some(job);
                        Ok(Started::Started { previous, job })
                    })
                    .await
                }

                async fn finish_rotation(
                    &self,
                    account: &AccountId,
                    now: Timestamp,
                    origin: &Origin,
                ) -> Result<Option<Revoked>, StoreError> {
                    let statement = sqlx::query_as(sql::REVOKE_PREVIOUS_KEY);
                    let statement = statement.bind(account.as_str()).bind(now);
                    let origin = origin.because("the rotation was finished");
                    self.run("finish rotation", async {
                        let mut transaction = self.begin_for(account).await?;
                        let revoke = revoke(&mut transaction, statement, now, &origin);
                        let revoked = revoke.await?;
                        transaction.commit().await?;
                        Ok(revoked.into_iter().next())
                    })
                    .await
                }

                async fn cancel_rotation(
                    &self,
                    account: &AccountId,
                    now: Timestamp,
                    origin: &Origin,
                ) -> Result<Canceled, StoreError> {
                    let (name, canceled) = (account.as_str(), "the rotation was canceled");
                    let origin = origin.because(canceled);
                    self.run("cancel rotation", async {
                        let mut transaction = self.begin_for(account).await?;
                        let end = sqlx::query_scalar(sql::END_OF_PREVIOUS_KEY).bind(name);
                        let end: Option<Option<Timestamp>> =
                            end.fetch_optional(&mut *transaction).await?;
                        let refused = match end {
                            None => Some(Canceled::Nothing),
                            Some(Some(end)) if now < end => None,
                            Some(_) => Some(Canceled::Over),
                        };
                        if let Some(refused) = refused {
                            transaction.rollback().await?;
                            return Ok(refused);
                        }
                        let statement = sqlx::query_as(sql::REVOKE_ACTIVE_KEY).bind(name);
                        let revoke = revoke(&mut transaction, statement.bind(now), now, &origin);
                        let revoked = revoke.await?.into_iter().next();
                        let svix_app_id = revoked.as_ref().and_then(|key| key.svix_app_id.clone());
                        let restore = sqlx::query_as(sql::RESTORE_KEY)
                            .bind(name)
                            .bind(now)
                            .bind(&svix_app_id);
                        let restored: Option<Job> =
                            restore.fetch_optional(&mut *transaction).await?;
                        let Some(restored) = restored else {
                            transaction.rollback().await?;
                            return Ok(Canceled::Over); // an operator has revoked it meanwhile
                        };
                        let (id, kind) = (restored.key_id, EventKind::Restored);
                        let event = event!(sql::INSERT_EVENT, id, now, kind, &origin);
                        event.execute(&mut *transaction).await?;
                        transaction.commit().await?;
                        let job = svix_app_id.is_none().then_some(restored);
                        Ok(Canceled::Canceled { revoked, job })
                    })
                    .await
                }

                async fn adopt_application(
                    &self,
                    id: KeyId,
                    now: Timestamp,
                ) -> Result<Option<String>, StoreError> {
                    let adopt = sqlx::query_scalar(sql::ADOPT_APPLICATION)
                        .bind(id)
                        .bind(now);
                    self.run("adopt application", adopt.fetch_optional(&self.pool))
                        .await
                }

                async fn revoke_key_by_id(
                    &self,
                    id: KeyId,
                    now: Timestamp,
                    origin: &Origin,
                ) -> Result<Option<Revoked>, StoreError> {
                    let statement = sqlx::query_as(sql::REVOKE_KEY_BY_ID).bind(id);
                    self.run("revoke key", async {
                        let mut transaction = self.begin().await?;
                        let revoke = revoke(&mut transaction, statement.bind(now), now, origin);
                        let revoked = revoke.await?;
                        transaction.commit().await?;
                        Ok(revoked.into_iter().next())
                    })
                    .await
                }

                async fn is_known(&self, hash: &SecretHash) -> Result<bool, StoreError> {
                    let query = sqlx::query_scalar(sql::IS_KNOWN).bind(hash.as_bytes());
                    self.run("find any key", query.fetch_one(&self.pool)).await
                }

                async fn last_revocation(
                    &self,
                    account: &AccountId,
                ) -> Result<Option<Revocation>, StoreError> {
                    let query = sqlx::query_as(sql::LAST_REVOCATION).bind(account.as_str());
                    self.run("find last revocation", query.fetch_optional(&self.pool))
                        .await
                }

                async fn keys(
                    &self,
                    filter: &KeyFilter,
                    now: Timestamp,
                    after: KeyId,
                    limit: i64,
                ) -> Result<Vec<ListedKey>, StoreError> {
                    let query = sqlx::query_as(sql::KEYS)
                        .bind(filter.account.as_ref().map(AccountId::as_str))
                        .bind(filter.prefix.as_ref().map(|prefix| prefix.as_str()))
                        .bind(filter.hash.as_ref().map(SecretHash::as_bytes))
                        .bind(filter.created_before)
                        .bind(filter.with_revoked)
                        .bind(after)
                        .bind(limit)
                        .bind(now);
                    self.run("list keys", query.fetch_all(&self.pool)).await
                }

                async fn record_portal_opened(
                    &self,
                    id: KeyId,
                    now: Timestamp,
                    origin: &Origin,
                ) -> Result<bool, StoreError> {
                    let kind = EventKind::PortalOpened;
                    let statement = event!(sql::INSERT_EVENT_IF_LIVE, id, now, kind, origin);
                    let done = self
                        .run("record portal link", statement.execute(&self.pool))
                        .await?;
                    Ok(done.rows_affected() == 1)
                }

                async fn events(
                    &self,
                    account: Option<&AccountId>,
                    limit: i64,
                ) -> Result<Vec<KeyEvent>, StoreError> {
                    let query = sqlx::query_as(sql::EVENTS)
                        .bind(account.map(AccountId::as_str))
                        .bind(limit);
                    self.run("list events", query.fetch_all(&self.pool)).await
                }

                async fn touch_keys(&self, uses: &[(KeyId, Timestamp)]) -> Result<(), StoreError> {
                    self.run("record uses of keys", self.write_uses(uses)).await
                }

                async fn due(
                    &self,
                    now: Timestamp,
                    skip: i64,
                    limit: i64,
                ) -> Result<Vec<Job>, StoreError> {
                    self.find_due(now, skip, limit).await
                }

                async fn claim(
                    &self,
                    job: Job,
                    now: Timestamp,
                    lease_end: Timestamp,
                ) -> Result<Option<Claim>, StoreError> {
                    self.claim_job(job, now, lease_end).await
                }

                async fn finish(
                    &self,
                    claim: &Claim,
                    outcome: &Outcome,
                    now: Timestamp,
                ) -> Result<bool, StoreError> {
                    self.finish_claim(claim, outcome, now).await
                }

                async fn reprovision(
                    &self,
                    id: KeyId,
                    now: Timestamp,
                ) -> Result<Option<Job>, StoreError> {
                    let query = sqlx::query_as(Self::REPROVISION).bind(now).bind(id);
                    let rows: Vec<(KeyId, i32, bool)> = self
                        .run("provision again", query.fetch_all(&self.pool))
                        .await?;
                    let active = rows.into_iter().find(|(_, _, is_active)| *is_active);
                    Ok(active.map(|(key_id, attempt, _)| Job::new(key_id, attempt)))
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
                    self.run("re-arm rows", query.fetch_all(&self.pool)).await
                }

                async fn backlog_up_to(
                    &self,
                    now: Timestamp,
                    limit: i64,
                ) -> Result<Backlog, StoreError> {
                    let query = sqlx::query_as(sql::BACKLOG).bind(now).bind(limit);
                    self.run("count backlog", query.fetch_one(&self.pool)).await
                }

                async fn dead_letters(&self, limit: i64) -> Result<Vec<DeadLetter>, StoreError> {
                    let query = sqlx::query_as(sql::DEAD_LETTERS).bind(limit);
                    self.run("list dead letters", query.fetch_all(&self.pool))
                        .await
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
                    self.run("create session", statement.execute(&self.pool))
                        .await?;
                    Ok(())
                }

                async fn session_account(
                    &self,
                    token: &SecretHash,
                    now: Timestamp,
                ) -> Result<Option<AccountId>, StoreError> {
                    self.find_session_account(token, now).await
                }

                async fn keys_of_session(
                    &self,
                    token: &SecretHash,
                    now: Timestamp,
                ) -> Result<Option<SessionKeys>, StoreError> {
                    self.find_keys_of_session(token, now).await
                }

                async fn sessions(
                    &self,
                    account: Option<&AccountId>,
                    now: Timestamp,
                    limit: i64,
                ) -> Result<Vec<ListedSession>, StoreError> {
                    type Row = (Vec<u8>, AccountId, Timestamp, Timestamp);
                    let query = sqlx::query_as(sql::SESSIONS)
                        .bind(account.map(AccountId::as_str))
                        .bind(now)
                        .bind(limit);
                    let rows: Vec<Row> = self
                        .run("list sessions", query.fetch_all(&self.pool))
                        .await?;
                    let session = |(hash, account_id, created_at, expires_at): Row| ListedSession {
                        id: SecretHash::id_of(&hash),
                        account_id,
                        created_at,
                        expires_at,
                    };
                    Ok(rows.into_iter().map(session).collect())
                }

                async fn revoke_sessions(
                    &self,
                    account: Option<&AccountId>,
                    now: Timestamp,
                    limit: i64,
                ) -> Result<u64, StoreError> {
                    let statement = sqlx::query(sql::REVOKE_SESSIONS)
                        .bind(account.map(AccountId::as_str))
                        .bind(now)
                        .bind(limit);
                    let done = self
                        .run("revoke sessions", statement.execute(&self.pool))
                        .await?;
                    Ok(done.rows_affected())
                }

                async fn count_ended_sessions(&self, now: Timestamp) -> Result<i64, StoreError> {
                    let query = sqlx::query_scalar(sql::COUNT_ENDED_SESSIONS).bind(now);
                    self.run("count ended sessions", query.fetch_one(&self.pool))
                        .await
                }

                async fn purge_sessions(
                    &self,
                    now: Timestamp,
                    limit: i64,
                ) -> Result<u64, StoreError> {
                    let statement = sqlx::query(sql::PURGE_SESSIONS).bind(now).bind(limit);
                    let done = self
                        .run("purge sessions", statement.execute(&self.pool))
                        .await?;
                    Ok(done.rows_affected())
                }

                async fn count_revoked_keys(&self, before: Timestamp) -> Result<i64, StoreError> {
                    let query = sqlx::query_scalar(sql::COUNT_REVOKED_KEYS).bind(before);
                    self.run("count revoked keys", query.fetch_one(&self.pool))
                        .await
                }

                async fn purge_keys(
                    &self,
                    before: Timestamp,
                    limit: i64,
                ) -> Result<u64, StoreError> {
                    let statement = sqlx::query(sql::PURGE_KEYS).bind(before).bind(limit);
                    let done = self
                        .run("purge keys", statement.execute(&self.pool))
                        .await?;
                    Ok(done.rows_affected())
                }

                async fn migrate(&self) -> Result<(), StoreError> {
                    Ok(self.run_migrations().await?)
                }

                fn pool_use(&self) -> PoolUse {
                    let (open, idle) = (self.pool.size() as usize, self.pool.num_idle());
                    PoolUse {
                        idle,
                        used: open.saturating_sub(idle),
                        max: self.pool.options().get_max_connections(),
                    }
                }

                async fn ping(&self) -> Result<(), StoreError> {
                    let query = sqlx::query(sql::PING);
                    self.run("ping", query.fetch_one(&self.pool)).await?;
                    Ok(())
                }
            }
        };
    };
}

pub(super) use {event, impl_store};
