//! The SQL statements. Each can be pasted into psql.
//!
//! Most are written once, with what PostgreSQL and SQLite share (`$1` parameters, `ON CONFLICT`,
//! `RETURNING`, partial indexes). Those for many rows at once are for PostgreSQL alone, and
//! have another one for SQLite beside them.
//!
//! In PostgreSQL, the lookups for many values have `ANY((SELECT $1)::…)` in place of `ANY($1)`, to
//! hide the number of values from the planner. Otherwise it plans every execution again, because
//! it estimates that a plan for three values costs less than one for any number. Planning takes
//! longer than the lookup.

mod rotation;
mod sessions;

use std::time::Duration;

pub(super) use rotation::*;
pub(super) use sessions::*;

/// Returns the statement that sets up a session of PostgreSQL, or only its current transaction.
/// It fails on a standby, where what we read could be out of date.
///
/// The server ends a statement after `deadline`, when we no longer wait for it, and a transaction
/// that a frozen process has left. `lock_timeout` is the time limit of a wait for a lock.
///
/// Every statement that clients wait for has its index: a plan made for a small table must
/// not read the whole table when it has grown. The planner takes what has no index for very
/// expensive then, which compiling it would not help.
pub(super) fn set_up(transaction_only: bool, deadline: Duration, lock_timeout: Duration) -> String {
    let (deadline, lock_timeout) = (deadline.as_millis(), lock_timeout.as_millis());
    format!(
        "SELECT set_config('statement_timeout', '{deadline}', {transaction_only}),
                set_config('idle_in_transaction_session_timeout', '{deadline}', {transaction_only}),
                set_config('lock_timeout', '{lock_timeout}', {transaction_only}),
                set_config('enable_seqscan', 'off', {transaction_only}),
                set_config('jit', 'off', {transaction_only}),
                {FAIL_ON_STANDBY}"
    )
}

/// Returns [`set_up`] for a session, which it marks. The column `is_shared` is true if another
/// connection has marked it before: a pooler has given both the same session.
pub(super) fn set_up_session(deadline: Duration, lock_timeout: Duration) -> String {
    let set_up = set_up(false, deadline, lock_timeout);
    format!(
        "{set_up},
                coalesce(current_setting('partner_keys.session', true), '') <> '' AS is_shared,
                set_config('partner_keys.session', 'set up', false)"
    )
}

/// Fails on a standby (`recovery is in progress`, 55000), and does nothing elsewhere.
pub(super) const FAIL_ON_STANDBY: &str =
    "CASE WHEN pg_is_in_recovery() THEN pg_current_wal_lsn()::text END";

/// Creates a key, in SQLite, unless the same request, by its `$6`, has created one before.
/// `ON CONFLICT` names the index that allows one active key for each account; a violation of
/// any other constraint stays an error.
pub(super) const INSERT_KEY: &str = "
    INSERT INTO api_partners (id, account_id, key_hash, key_prefix, created_at, next_attempt_at,
                              idempotency_hash)
    SELECT $1, $2, $3, $4, $5, $5, $6
    WHERE NOT EXISTS (
        SELECT 1 FROM api_partners WHERE account_id = $2 AND idempotency_hash = $6)
    ON CONFLICT (account_id) WHERE is_active DO NOTHING";

/// Finds the key that a request created, also if it was revoked since.
pub(super) const KEY_OF_REQUEST: &str = "
    SELECT key_prefix, created_at, revoked_at
    FROM api_partners
    WHERE account_id = $1 AND idempotency_hash = $2";

/// [`KEYS_OF_ACCOUNT`] for many accounts, in PostgreSQL.
pub(super) const KEYS_OF_ACCOUNTS: &str = "
    SELECT id, account_id, key_prefix, has_webhook, svix_app_id, created_at, last_used_at,
           attempts, next_attempt_at, leased_until, failed_at, expires_at
    FROM api_partners
    WHERE account_id = ANY((SELECT $1)::text[]) AND is_active
    UNION ALL
    SELECT id, account_id, key_prefix, has_webhook, svix_app_id, created_at, last_used_at,
           attempts, next_attempt_at, leased_until, failed_at, expires_at
    FROM api_partners
    WHERE account_id = ANY((SELECT $1)::text[]) AND expires_at IS NOT NULL";

/// [`KEY_BY_HASH`] for many hashes, in PostgreSQL. Each caller compares the end of a key with
/// its own time.
pub(super) const KEYS_BY_HASH: &str = "
    SELECT key_hash, id, account_id, key_prefix, svix_app_id, created_at, last_used_at, expires_at
    FROM api_partners
    WHERE key_hash = ANY((SELECT $1)::bytea[]) AND (is_active OR expires_at IS NOT NULL)";

/// [`INSERT_KEY`] for many accounts with the events, in PostgreSQL. Returns the ids of the
/// keys that were created. The rows are in the order of their accounts, so that two
/// processes cannot wait for each other. The subquery with `LIMIT` makes sure that every plan
/// looks in the index, once for each request with an `idempotency_hash`.
pub(super) const INSERT_KEYS: &str = "
    WITH asked AS (
        SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
            AS asked (id, account_id, key_hash, key_prefix, created_at, actor, reason, session_id,
                      client_address, user_agent, request_id, idempotency_hash)),
    created AS (
        INSERT INTO api_partners (id, account_id, key_hash, key_prefix, created_at, next_attempt_at,
                                  idempotency_hash)
        SELECT id, account_id, key_hash, key_prefix, created_at, created_at, idempotency_hash
        FROM asked
        WHERE idempotency_hash IS NULL OR (
            SELECT id FROM api_partners AS earlier
            WHERE earlier.account_id = asked.account_id
              AND earlier.idempotency_hash = asked.idempotency_hash
            LIMIT 1) IS NULL
        ORDER BY account_id
        ON CONFLICT (account_id) WHERE is_active DO NOTHING
        RETURNING id),
    recorded AS (
        INSERT INTO api_key_events (at, kind, key_id, account_id, key_prefix, actor, reason,
                                    session_id, client_address, user_agent, request_id)
        SELECT created_at, 'created', id, account_id, key_prefix, actor, reason, session_id,
               client_address, user_agent, request_id
        FROM asked
        WHERE id IN (SELECT id FROM created))
    SELECT id FROM created";

/// Finds the active key of an account, and the key that it has replaced. Each has its index.
pub(super) const KEYS_OF_ACCOUNT: &str = "
    SELECT id, account_id, key_prefix, has_webhook, svix_app_id, created_at, last_used_at,
           attempts, next_attempt_at, leased_until, failed_at, expires_at
    FROM api_partners
    WHERE account_id = $1 AND is_active
    UNION ALL
    SELECT id, account_id, key_prefix, has_webhook, svix_app_id, created_at, last_used_at,
           attempts, next_attempt_at, leased_until, failed_at, expires_at
    FROM api_partners
    WHERE account_id = $1 AND expires_at IS NOT NULL";

/// Finds a key that is active, or that a rotation has replaced. The caller compares its end
/// with its own time.
pub(super) const KEY_BY_HASH: &str = "
    SELECT id, account_id, key_prefix, svix_app_id, created_at, last_used_at, expires_at
    FROM api_partners
    WHERE key_hash = $1 AND (is_active OR expires_at IS NOT NULL)";

/// Returns whether a key has this hash, also if it was revoked since.
pub(super) const IS_KNOWN: &str = "
    SELECT count(*) > 0 FROM api_partners WHERE key_hash = $1";

/// Lists keys. Null stands for any value; `$5` includes keys that do not work at `$8`.
pub(super) const KEYS: &str = "
    SELECT id, account_id, key_prefix, is_active, has_webhook, svix_app_id, created_at,
           revoked_at, expires_at, last_used_at
    FROM api_partners
    WHERE ($1 IS NULL OR account_id = $1)
      AND ($2 IS NULL OR key_prefix = $2)
      AND ($3 IS NULL OR key_hash = $3)
      AND ($4 IS NULL OR created_at < $4)
      AND (is_active OR expires_at > $8 OR $5)
      AND id > $6
    ORDER BY id
    LIMIT $7";

/// Records the last use of a key, in SQLite.
pub(super) const TOUCH_KEY: &str = "
    UPDATE api_partners SET last_used_at = $2
    WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)";

/// Records the last uses of many keys, in PostgreSQL. The rows are locked in the order of
/// their ids, so that two processes cannot wait for each other.
pub(super) const TOUCH_KEYS: &str = "
    WITH locked AS (
        SELECT id FROM api_partners WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE)
    UPDATE api_partners
    SET last_used_at = used.at
    FROM unnest($1, $2) AS used (id, at)
    WHERE api_partners.id = used.id AND api_partners.id IN (SELECT id FROM locked)
      AND (last_used_at IS NULL OR last_used_at < used.at)";

pub(super) const DUE: &str = "
    SELECT id AS key_id, attempts AS attempt
    FROM api_partners
    WHERE next_attempt_at <= $1
    ORDER BY next_attempt_at
    LIMIT $2 OFFSET $3";

/// Claims an attempt. `next_attempt_at` is null wherever there is nothing to do. An
/// attempt that is not due is not claimed, so that a job which comes too early skips no
/// backoff, no lease and no overlap of two keys. The first attempt after the work was armed
/// has no backoff and no lease: it need not wait until the clocks agree.
pub(super) const CLAIM: &str = "
    UPDATE api_partners
    SET attempts = attempts + 1, next_attempt_at = $4, leased_until = $4
    WHERE id = $1 AND attempts = $2
      AND (next_attempt_at <= $3 OR (next_attempt_at IS NOT NULL AND expires_at IS NULL
                                     AND attempts = armed_at_attempt))
    RETURNING id AS key_id, account_id, attempts AS attempt, leased_until AS lease_end,
              attempts - armed_at_attempt AS tries, created_at, revoked_at, svix_app_id";

/// Returns whether a row is leased, in SQLite.
pub(super) const HAS_LEASE: &str = "
    SELECT leased_until IS NOT NULL FROM api_partners WHERE id = $1 AND attempts = $2";

/// [`CLAIM`] for many jobs, in PostgreSQL. A row that another transaction has locked is left
/// to the next sweep, so that it holds up no other. A row that is due and has a lease was not
/// finished: its lease has expired.
///
/// The commit does not wait until it is on disk or on a standby. If the server crashes before,
/// the attempt is claimed again, with another lease, and the first claim completes nothing. The
/// setting is made in `asked`, without whose rows nothing is claimed.
pub(super) const CLAIM_MANY: &str = "
    WITH asked AS (
        SELECT asked.*
        FROM unnest($1, $2, $3, $4) AS asked (id, attempt, now, lease_end),
             set_config('synchronous_commit', 'off', TRUE)),
    locked AS (
        SELECT id, leased_until AS old_lease
        FROM api_partners WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED)
    UPDATE api_partners
    SET attempts = attempts + 1, next_attempt_at = lease_end, leased_until = lease_end
    FROM asked, locked
    WHERE api_partners.id = asked.id AND api_partners.id = locked.id
      AND attempts = asked.attempt
      AND (next_attempt_at <= now OR (next_attempt_at IS NOT NULL AND expires_at IS NULL
                                      AND attempts = armed_at_attempt))
    RETURNING api_partners.id AS key_id, account_id, attempts AS attempt,
              leased_until AS lease_end, attempts - armed_at_attempt AS tries,
              created_at, revoked_at, svix_app_id,
              old_lease IS NOT NULL AS after_expired_lease";

/// Completes an attempt, in SQLite. `$3` is the outcome, `$5` the time of the next attempt
/// or of the failure, `$7` the end of the lease. The condition is the fence: the attempt is
/// the newest, the lease is the one that was claimed, and the key still has the work that was
/// done.
pub(super) const FINISH: &str = "
    UPDATE api_partners
    SET has_webhook = has_webhook OR $3 = 'provisioned',
        svix_app_id = COALESCE($4, svix_app_id),
        next_attempt_at = CASE WHEN $3 = 'retry' THEN $5 END,
        failed_at = CASE WHEN $3 = 'given_up' THEN $5 END,
        leased_until = NULL,
        last_error = $6
    WHERE id = $1 AND attempts = $2 AND leased_until = $7
      AND CASE $3 WHEN 'provisioned' THEN is_active
                  WHEN 'portal_sessions_ended' THEN NOT is_active
                  ELSE TRUE END";

/// [`FINISH`] for many attempts with their events, in PostgreSQL. Returns the attempts whose
/// outcome was written. The rows are locked in the order of their ids, so that two processes
/// cannot wait for each other.
pub(super) const FINISH_MANY: &str = "
    WITH asked AS (
        SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8)
            AS asked (id, attempt, lease_end, outcome, app_id, at, error, now)),
    locked AS (
        SELECT id FROM api_partners WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE),
    finished AS (
        UPDATE api_partners
        SET has_webhook = has_webhook OR outcome = 'provisioned',
            svix_app_id = COALESCE(app_id, svix_app_id),
            next_attempt_at = CASE WHEN outcome = 'retry' THEN at END,
            failed_at = CASE WHEN outcome = 'given_up' THEN at END,
            leased_until = NULL,
            last_error = error
        FROM asked
        WHERE api_partners.id = asked.id AND api_partners.id IN (SELECT id FROM locked)
          AND attempts = asked.attempt AND leased_until = asked.lease_end
          AND CASE outcome WHEN 'provisioned' THEN is_active
                           WHEN 'portal_sessions_ended' THEN NOT is_active
                           ELSE TRUE END
        RETURNING now, outcome, api_partners.id, account_id, key_prefix, error, attempts,
                  lease_end),
    recorded AS (
        INSERT INTO api_key_events (at, kind, key_id, account_id, key_prefix, actor, reason)
        SELECT now, outcome, id, account_id, key_prefix, $9, error
        FROM finished
        WHERE outcome <> 'retry')
    SELECT id, attempts, lease_end FROM finished";

pub(super) const REARM_ONE: &str = "
    UPDATE api_partners
    SET failed_at = NULL, next_attempt_at = $1, armed_at_attempt = attempts
    WHERE id = $2 AND (is_active OR has_webhook) AND leased_until IS NULL
      AND (failed_at IS NOT NULL OR next_attempt_at > $1)
      AND (expires_at IS NULL OR expires_at <= $1)
    RETURNING id AS key_id, attempts AS attempt";

pub(super) const REARM_DEAD_LETTERS: &str = "
    UPDATE api_partners
    SET failed_at = NULL, next_attempt_at = $1, armed_at_attempt = attempts
    WHERE (is_active OR has_webhook) AND failed_at <= $1 AND id IN (
        SELECT id FROM api_partners
        WHERE (is_active OR has_webhook) AND failed_at <= $1
        ORDER BY failed_at
        LIMIT $2)
    RETURNING id AS key_id, attempts AS attempt";

pub(super) const REARM_WAITING: &str = "
    UPDATE api_partners
    SET next_attempt_at = $1, armed_at_attempt = attempts
    WHERE next_attempt_at > $1 AND leased_until IS NULL
      AND (expires_at IS NULL OR expires_at <= $1) AND id IN (
        SELECT id FROM api_partners
        WHERE next_attempt_at > $1 AND leased_until IS NULL
          AND (expires_at IS NULL OR expires_at <= $1)
        LIMIT $2)
    RETURNING id AS key_id, attempts AS attempt";

/// Counts the work, of each state at most `$2` rows. A lease ends within a minute, so the
/// leased rows are among the first of those that are not due. The end of a key that still
/// works is no work yet.
pub(super) const BACKLOG: &str = "
    WITH later AS (
        SELECT leased_until IS NOT NULL AS is_leased FROM api_partners
        WHERE next_attempt_at > $1 AND (expires_at IS NULL OR expires_at <= $1)
        ORDER BY next_attempt_at
        LIMIT $2)
    SELECT
        (SELECT count(*) FROM (
            SELECT id FROM api_partners WHERE next_attempt_at <= $1 LIMIT $2) AS found) AS due,
        (SELECT count(*) FROM later WHERE is_leased) AS leased,
        (SELECT count(*) FROM later WHERE NOT is_leased) AS waiting,
        (SELECT count(*) FROM (
            SELECT id FROM api_partners
            WHERE failed_at IS NOT NULL AND (is_active OR has_webhook)
            LIMIT $2) AS found) AS failed,
        (SELECT min(next_attempt_at) FROM api_partners WHERE next_attempt_at <= $1) AS oldest_due";

pub(super) const DEAD_LETTERS: &str = "
    SELECT id AS key_id, account_id, revoked_at, attempts, failed_at, last_error
    FROM api_partners
    WHERE failed_at IS NOT NULL AND (is_active OR has_webhook)
    ORDER BY failed_at
    LIMIT $1";

/// Counts the keys that [`PURGE_KEYS`] deletes.
pub(super) const COUNT_REVOKED_KEYS: &str = "
    SELECT count(*) FROM api_partners
    WHERE NOT is_active AND revoked_at < $1 AND next_attempt_at IS NULL";

/// Deletes revoked keys whose work is done. Their events stay. The conditions are repeated
/// outside of the subquery, because PostgreSQL checks only those again for a row that another
/// transaction has changed meanwhile: the key may have work now.
pub(super) const PURGE_KEYS: &str = "
    DELETE FROM api_partners
    WHERE NOT is_active AND revoked_at < $1 AND next_attempt_at IS NULL AND id IN (
        SELECT id FROM api_partners
        WHERE NOT is_active AND revoked_at < $1 AND next_attempt_at IS NULL
        LIMIT $2)";

/// Records what happened to a key.
pub(super) const INSERT_EVENT: &str = "
    INSERT INTO api_key_events (at, kind, key_id, account_id, key_prefix, actor, reason,
                                session_id, client_address, user_agent, request_id)
    SELECT $2, $3, id, account_id, key_prefix, $4, $5, $6, $7, $8, $9
    FROM api_partners
    WHERE id = $1";

/// Records what happened to a key, if it still works. A key that was replaced does not, once
/// a worker has begun to end its portal sessions, by whatever clock.
pub(super) const INSERT_EVENT_IF_LIVE: &str = "
    INSERT INTO api_key_events (at, kind, key_id, account_id, key_prefix, actor, reason,
                                session_id, client_address, user_agent, request_id)
    SELECT $2, $3, id, account_id, key_prefix, $4, $5, $6, $7, $8, $9
    FROM api_partners
    WHERE id = $1 AND (is_active OR (expires_at > $2 AND next_attempt_at = expires_at
                                     AND leased_until IS NULL))";

/// Lists events, the newest first. Null stands for any account.
pub(super) const EVENTS: &str = "
    SELECT at, kind, key_id, account_id, key_prefix, actor, reason, session_id, client_address,
           user_agent, request_id
    FROM api_key_events
    WHERE $1 IS NULL OR account_id = $1
    ORDER BY id DESC
    LIMIT $2";

/// Finds the last revocation of a key of an account. The range and the order say that
/// the account is one, so that only the index by account gives the order: every plan ends at
/// the first revocation that it meets there.
pub(super) const LAST_REVOCATION: &str = "
    SELECT at, actor, reason
    FROM api_key_events
    WHERE account_id BETWEEN $1 AND $1 AND kind = 'revoked'
    ORDER BY account_id DESC, id DESC
    LIMIT 1";

/// Reads no row. Fails if the database or one of the tables is not there.
pub(super) const PING: &str = "
    SELECT (SELECT count(*) FROM api_partners WHERE FALSE)
         + (SELECT count(*) FROM sessions WHERE FALSE)
         + (SELECT count(id) FROM api_key_events WHERE FALSE)";
