-- The states of a row, as docs/ARCHITECTURE.md lists them, checked by the database.
-- NOT VALID, then VALIDATE: the second reads all rows without blocking writes.
ALTER TABLE api_partners
    -- A key is active until it is revoked, and a revoked key has no work.
    ADD CONSTRAINT api_partners_revoked CHECK (
        is_active = (revoked_at IS NULL)
        AND (is_active OR next_attempt_at IS NULL)
    ) NOT VALID,
    -- An active key is in exactly one state: it has work, or its application, or it
    -- is a dead letter. A revoked key keeps the application or the failure it had.
    ADD CONSTRAINT api_partners_one_state CHECK (
        has_webhook::int + (next_attempt_at IS NOT NULL)::int + (failed_at IS NOT NULL)::int
            BETWEEN is_active::int AND 1
    ) NOT VALID,
    -- A lease ends when the next attempt is due.
    ADD CONSTRAINT api_partners_lease CHECK (
        leased_until IS NULL
        OR (next_attempt_at IS NOT NULL AND leased_until = next_attempt_at)
    ) NOT VALID,
    -- The application's id is known exactly while the application exists.
    ADD CONSTRAINT api_partners_application CHECK (
        has_webhook = (svix_app_id IS NOT NULL)
    ) NOT VALID;

ALTER TABLE api_partners VALIDATE CONSTRAINT api_partners_revoked;
ALTER TABLE api_partners VALIDATE CONSTRAINT api_partners_one_state;
ALTER TABLE api_partners VALIDATE CONSTRAINT api_partners_lease;
ALTER TABLE api_partners VALIDATE CONSTRAINT api_partners_application;

COMMENT ON COLUMN api_partners.id IS 'The key''s id; jobs and log lines name it key_id.';
COMMENT ON COLUMN api_partners.key_hash IS 'SHA-256 of the whole key, which itself is stored nowhere.';
COMMENT ON COLUMN api_partners.attempts IS 'Attempts ever claimed: the fencing token, which never decreases.';
COMMENT ON COLUMN api_partners.armed_at_attempt IS 'The value of attempts when the work was last armed; the retry budget and the backoff count from here.';
COMMENT ON COLUMN api_partners.next_attempt_at IS 'When the sweep sends the next attempt; null if there is nothing to do.';
COMMENT ON COLUMN api_partners.leased_until IS 'The end of the lease, while an attempt runs.';
COMMENT ON COLUMN api_partners.last_error IS 'The reason of the last failure, for operators; contains no secret.';
COMMENT ON COLUMN api_partners.failed_at IS 'When the work became a dead letter.';
COMMENT ON COLUMN sessions.token_hash IS 'SHA-256 of the session token, which itself is stored nowhere.';
