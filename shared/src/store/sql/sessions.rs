//! The statements about sessions.

pub(in crate::store) const INSERT_SESSION: &str = "
    INSERT INTO sessions (token_hash, account_id, created_at, expires_at)
    VALUES ($1, $2, $3, $4)";

pub(in crate::store) const SESSION_ACCOUNT: &str = "
    SELECT account_id
    FROM sessions
    WHERE token_hash = $1 AND revoked_at IS NULL AND expires_at > $2";

/// [`SESSION_ACCOUNT`] for many tokens, in PostgreSQL. Each caller compares the end with
/// its own time.
pub(in crate::store) const SESSION_ACCOUNTS: &str = "
    SELECT token_hash, account_id, expires_at
    FROM sessions
    WHERE token_hash = ANY((SELECT $1)::bytea[]) AND revoked_at IS NULL";

/// [`SESSION_ACCOUNTS`] and [`KEYS_OF_ACCOUNTS`](super::KEYS_OF_ACCOUNTS) in one, in PostgreSQL:
/// a row for each key, or one without a key. The subqueries with `LIMIT` make sure that every
/// plan looks in the indexes, once for each session.
pub(in crate::store) const KEYS_OF_SESSIONS: &str = "
    SELECT token_hash, sessions.account_id AS session_account, sessions.expires_at AS session_end,
           keys.*
    FROM sessions LEFT JOIN LATERAL (
        (SELECT id, account_id, key_prefix, has_webhook, svix_app_id, created_at, last_used_at,
                attempts, next_attempt_at, leased_until, failed_at, expires_at
         FROM api_partners
         WHERE account_id = sessions.account_id AND is_active
         LIMIT 1)
        UNION ALL
        (SELECT id, account_id, key_prefix, has_webhook, svix_app_id, created_at, last_used_at,
                attempts, next_attempt_at, leased_until, failed_at, expires_at
         FROM api_partners
         WHERE account_id = sessions.account_id AND expires_at IS NOT NULL
         LIMIT 1)) AS keys ON TRUE
    WHERE token_hash = ANY((SELECT $1)::bytea[]) AND revoked_at IS NULL";

/// Lists sessions, the newest first. Null stands for any account.
pub(in crate::store) const SESSIONS: &str = "
    SELECT token_hash, account_id, created_at, expires_at
    FROM sessions
    WHERE ($1 IS NULL OR account_id = $1) AND revoked_at IS NULL AND expires_at > $2
    ORDER BY created_at DESC
    LIMIT $3";

/// Revokes sessions. Null stands for any account. A session that is revoked elsewhere while the
/// statement waits for its row keeps that time but counts, so that the caller who counts fewer
/// than the limit knows that no session is left.
pub(in crate::store) const REVOKE_SESSIONS: &str = "
    UPDATE sessions SET revoked_at = COALESCE(revoked_at, $2)
    WHERE token_hash IN (
        SELECT token_hash FROM sessions
        WHERE ($1 IS NULL OR account_id = $1) AND revoked_at IS NULL AND expires_at > $2
        LIMIT $3)";

pub(in crate::store) const COUNT_ENDED_SESSIONS: &str = "
    SELECT count(*) FROM sessions WHERE expires_at <= $1 OR revoked_at <= $1";

pub(in crate::store) const PURGE_SESSIONS: &str = "
    DELETE FROM sessions
    WHERE (expires_at <= $1 OR revoked_at <= $1) AND token_hash IN (
        SELECT token_hash FROM sessions WHERE expires_at <= $1 OR revoked_at <= $1 LIMIT $2)";
