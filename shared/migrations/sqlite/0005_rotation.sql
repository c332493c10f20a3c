-- The same as migrations/postgres/0005, which explains it.
ALTER TABLE api_partners ADD COLUMN expires_at INTEGER
    CONSTRAINT api_partners_previous CHECK (
        expires_at IS NULL OR (NOT is_active AND revoked_at = expires_at)
    );
ALTER TABLE api_partners ADD COLUMN replaces BLOB;

CREATE UNIQUE INDEX api_partners_one_previous_per_account ON api_partners (account_id)
    WHERE expires_at IS NOT NULL;

-- SQLite cannot change the CHECKs of a table, so it is created again and the rows are copied.
CREATE TABLE api_key_events_new (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    at             INTEGER NOT NULL,
    kind           TEXT    NOT NULL CHECK (kind IN (
        'created', 'revoked', 'replaced', 'restored', 'provisioned', 'given_up', 'portal_opened',
        'portal_sessions_ended')),
    key_id         BLOB    NOT NULL,
    account_id     TEXT    NOT NULL,
    key_prefix     TEXT    NOT NULL,
    actor          TEXT    NOT NULL CHECK (actor IN (
        'account', 'key_holder', 'operator', 'report', 'worker')),
    reason         TEXT,
    session_id     TEXT,
    client_address TEXT,
    user_agent     TEXT CHECK (length(CAST(user_agent AS BLOB)) <= 200),
    request_id     BLOB
);

INSERT INTO api_key_events_new
SELECT id, at, kind, key_id, account_id, key_prefix, actor, reason, session_id, client_address,
       user_agent, request_id
FROM api_key_events;

DROP TABLE api_key_events;
ALTER TABLE api_key_events_new RENAME TO api_key_events;

CREATE INDEX api_key_events_by_account ON api_key_events (account_id, id);
