-- The audit trail, and the end of portal sessions as work of a revoked key.

-- What happened to each key. A row is written in the transaction of what it records.
-- Rows are only ever added. They stay when the key's own row is purged.
CREATE TABLE api_key_events (
    id             bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at             timestamptz NOT NULL,
    kind           text        NOT NULL CHECK (kind IN (
        'created', 'revoked', 'provisioned', 'given_up', 'portal_opened', 'portal_sessions_ended')),
    key_id         uuid        NOT NULL,
    account_id     text        NOT NULL,
    key_prefix     text        NOT NULL,
    actor          text        NOT NULL CHECK (actor IN (
        'account', 'key_holder', 'operator', 'report', 'worker')),
    -- Why, as far as it is known: an operator's words, or an error without secrets.
    reason         text,
    -- The session's id or the token's `jti`, never a session token.
    session_id     text,
    client_address text,
    user_agent     text CHECK (octet_length(user_agent) <= 200),
    request_id     uuid
);

CREATE INDEX api_key_events_by_account ON api_key_events (account_id, id);

-- A revoked key with an application has work until Svix has ended its portal sessions.
ALTER TABLE api_partners
    DROP CONSTRAINT api_partners_revoked,
    DROP CONSTRAINT api_partners_one_state;
ALTER TABLE api_partners
    -- A key is active until it is revoked. A revoked key has work only if it could have
    -- opened the portal.
    ADD CONSTRAINT api_partners_revoked CHECK (
        is_active = (revoked_at IS NULL)
        AND (is_active OR has_webhook OR next_attempt_at IS NULL)
    ) NOT VALID,
    -- An active key is in exactly one state: it has work, or its application, or it is
    -- a dead letter. A revoked key's work is under way, or given up, or done.
    ADD CONSTRAINT api_partners_one_state CHECK (
        CASE WHEN is_active
            THEN has_webhook::int + (next_attempt_at IS NOT NULL)::int + (failed_at IS NOT NULL)::int = 1
            ELSE next_attempt_at IS NULL OR failed_at IS NULL
        END
    ) NOT VALID,
    ADD CONSTRAINT api_partners_account CHECK (
        char_length(account_id) BETWEEN 1 AND 255
    ) NOT VALID;
ALTER TABLE api_partners VALIDATE CONSTRAINT api_partners_revoked;
ALTER TABLE api_partners VALIDATE CONSTRAINT api_partners_one_state;
ALTER TABLE api_partners VALIDATE CONSTRAINT api_partners_account;

-- No account has such an id, so such a session signs in to nothing.
DELETE FROM sessions WHERE char_length(account_id) NOT BETWEEN 1 AND 255;
ALTER TABLE sessions ADD CONSTRAINT sessions_account CHECK (
    char_length(account_id) BETWEEN 1 AND 255
);

-- For the operators' commands that revoke or purge many sessions.
CREATE INDEX sessions_by_account ON sessions (account_id);
CREATE INDEX sessions_by_end ON sessions (expires_at);
