//! The statements that end keys and that replace one by another. Those about an account run
//! after [`LOCK_ACCOUNT`] and [`LOCK_KEYS`] in one transaction, so that they happen one after
//! the other.

/// Waits for other transactions about the same account, in PostgreSQL. What runs next in the
/// transaction sees what they have done. Locking rows is not enough: while a transaction waits
/// for the row of one key, others may replace that key twice, and it would not hold the lock
/// on the newest. Two accounts with the same hash wait for each other in vain, which is rare.
/// The table is part of the hash, because the lock is the whole database's.
pub(in crate::store) const LOCK_ACCOUNT: &str = "
    SELECT pg_advisory_xact_lock(
        hashtextextended($1, 'api_partners'::regclass::oid::bigint))";

/// Locks the keys of an account, in PostgreSQL, against what ends one key by its id. The rows
/// are locked in the order of their ids, so that two transactions cannot wait for each other.
pub(in crate::store) const LOCK_KEYS: &str = "
    SELECT id FROM api_partners
    WHERE id IN (
        SELECT id FROM api_partners WHERE account_id = $1 AND is_active
        UNION ALL
        SELECT id FROM api_partners WHERE account_id = $1 AND expires_at IS NOT NULL)
    ORDER BY id
    FOR NO KEY UPDATE";

/// Returns the statement that revokes the keys for which a condition holds, at `$2`. Their
/// work is dropped. Those that could open the portal have new work: their portal sessions
/// must end. A key that had ended before only becomes ended by every clock.
///
/// A key that has not ended by our clock can have a dead letter: a worker whose clock is ahead
/// has given up its portal sessions. The new work replaces it, because no row may have both.
macro_rules! revoke {
    ($condition:literal) => {
        concat!(
            "
    UPDATE api_partners
    SET is_active = FALSE,
        revoked_at = CASE WHEN expires_at <= $2 THEN revoked_at ELSE $2 END,
        armed_at_attempt = CASE WHEN expires_at <= $2 THEN armed_at_attempt ELSE attempts END,
        leased_until = CASE WHEN expires_at <= $2 THEN leased_until END,
        next_attempt_at = CASE WHEN expires_at <= $2 THEN next_attempt_at
                               WHEN has_webhook THEN $2 END,
        failed_at = CASE WHEN expires_at <= $2 OR NOT has_webhook THEN failed_at END,
        expires_at = NULL
    WHERE ",
            $condition,
            "
    RETURNING id AS key_id, key_prefix, svix_app_id, attempts AS attempt,
              revoked_at = $2 AS is_new"
        )
    };
}

/// Revokes all keys of an account.
pub(in crate::store) const REVOKE_KEYS: &str = revoke!(
    "id IN (
        SELECT id FROM api_partners WHERE account_id = $1 AND is_active
        UNION ALL
        SELECT id FROM api_partners WHERE account_id = $1 AND expires_at IS NOT NULL)"
);

/// Revokes the active key of an account.
pub(in crate::store) const REVOKE_ACTIVE_KEY: &str = revoke!("account_id = $1 AND is_active");

/// Revokes the key that a rotation has replaced.
pub(in crate::store) const REVOKE_PREVIOUS_KEY: &str =
    revoke!("account_id = $1 AND expires_at IS NOT NULL");

/// Revokes the key with an id.
pub(in crate::store) const REVOKE_KEY_BY_ID: &str =
    revoke!("id = $1 AND (is_active OR expires_at IS NOT NULL)");

/// Makes the key that a rotation has replaced, and that has ended by `$2`, ended by every
/// clock. So the account may replace another.
pub(in crate::store) const FORGET_PREVIOUS_KEY: &str = "
    UPDATE api_partners SET expires_at = NULL
    WHERE account_id = $1 AND expires_at <= $2";

/// Replaces the active key of an account, unless it has replaced another that still works.
/// `$2` is its end and `$3` the same, or null if it ends at once. Work to provision it is
/// dropped, because its successor has that. If it could open the portal, its portal sessions
/// must end with it.
pub(in crate::store) const REPLACE_ACTIVE_KEY: &str = "
    UPDATE api_partners
    SET is_active = FALSE, revoked_at = $2, expires_at = $3, leased_until = NULL,
        armed_at_attempt = attempts, next_attempt_at = CASE WHEN has_webhook THEN $2 END,
        failed_at = NULL
    WHERE account_id = $1 AND is_active AND NOT EXISTS (
        SELECT 1 FROM api_partners WHERE account_id = $1 AND expires_at IS NOT NULL)
    RETURNING id AS key_id, key_prefix, svix_app_id, attempts AS attempt, TRUE AS is_new";

/// Returns whether a rotation of an account is under way. To ask instead whether there is an
/// active key would take a key for rotating that was created since [`REPLACE_ACTIVE_KEY`].
pub(in crate::store) const HAS_PREVIOUS_KEY: &str = "
    SELECT count(*) > 0 FROM api_partners WHERE account_id = $1 AND expires_at IS NOT NULL";

/// Creates a key that replaces another. `$6` is the account's application at Svix, which it
/// takes over.
pub(in crate::store) const INSERT_SUCCESSOR: &str = "
    INSERT INTO api_partners (id, account_id, key_hash, key_prefix, created_at, svix_app_id,
                              has_webhook, next_attempt_at, replaces, idempotency_hash)
    VALUES ($1, $2, $3, $4, $5, $6, $6 IS NOT NULL, CASE WHEN $6 IS NULL THEN $5 END, $7, $8)";

/// Finds the end of the key that the active key of an account has replaced. There is no row
/// if it has replaced none, and the end is null if something else has ended that key.
pub(in crate::store) const END_OF_PREVIOUS_KEY: &str = "
    SELECT expires_at FROM api_partners WHERE account_id = $1 AND expires_at IS NOT NULL
    UNION ALL
    SELECT NULL FROM api_partners
    WHERE account_id = $1 AND is_active AND replaces IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM api_partners WHERE account_id = $1 AND expires_at IS NOT NULL)";

/// Makes the key that was replaced the active one again, at `$2`. `$3` is the account's
/// application, as its successor knew it.
pub(in crate::store) const RESTORE_KEY: &str = "
    UPDATE api_partners
    SET is_active = TRUE, revoked_at = NULL, expires_at = NULL, replaces = NULL,
        svix_app_id = $3, has_webhook = $3 IS NOT NULL,
        next_attempt_at = CASE WHEN $3 IS NULL THEN $2 END,
        leased_until = NULL, failed_at = NULL, last_error = NULL, armed_at_attempt = attempts
    WHERE account_id = $1 AND expires_at > $2
    RETURNING id AS key_id, attempts AS attempt";

/// Gives a key that was replaced before the account had its application that application,
/// now that its successor knows it. With it comes the work to end its portal sessions.
pub(in crate::store) const ADOPT_APPLICATION: &str = "
    UPDATE api_partners
    SET has_webhook = TRUE, svix_app_id = successor.svix_app_id, next_attempt_at = expires_at,
        armed_at_attempt = api_partners.attempts, failed_at = NULL, last_error = NULL
    FROM (SELECT account_id, svix_app_id FROM api_partners
          WHERE is_active AND has_webhook
            AND account_id = (SELECT account_id FROM api_partners WHERE id = $1)) AS successor
    WHERE id = $1 AND api_partners.account_id = successor.account_id
      AND NOT has_webhook AND expires_at > $2
    RETURNING api_partners.svix_app_id";

/// Returns the statement that provisions again what a key's account has at Svix. A key that a
/// rotation has replaced only forgets the application, because its successor's row has the work.
/// As in the other statements that re-arm a row, `attempts` stays as it is: it is part of the
/// fencing token, and no statement decreases it.
macro_rules! reprovision {
    ($lock:literal) => {
        concat!(
            "
    WITH found AS (
        SELECT id FROM api_partners
        WHERE id IN (
            SELECT id FROM api_partners
            WHERE account_id = (SELECT account_id FROM api_partners WHERE id = $2) AND is_active
            UNION ALL
            SELECT id FROM api_partners
            WHERE account_id = (SELECT account_id FROM api_partners WHERE id = $2)
              AND expires_at > $1)
        ORDER BY id",
            $lock,
            ")
    UPDATE api_partners
    SET has_webhook = FALSE, svix_app_id = NULL, armed_at_attempt = attempts,
        next_attempt_at = CASE WHEN is_active THEN $1 END
    WHERE svix_app_id = (SELECT svix_app_id FROM api_partners WHERE id = $2)
      AND leased_until IS NULL AND (is_active OR expires_at > $1)
      AND id IN (SELECT id FROM found)
    RETURNING id AS key_id, attempts AS attempt, is_active"
        )
    };
}

/// Provisions again, in SQLite.
pub(in crate::store) const REPROVISION: &str = reprovision!("");

/// [`REPROVISION`] in PostgreSQL. The rows are locked in the order of their ids, so that two
/// processes cannot wait for each other.
pub(in crate::store) const REPROVISION_IN_ORDER: &str = reprovision!(" FOR NO KEY UPDATE");
