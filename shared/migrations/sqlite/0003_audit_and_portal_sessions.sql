-- The same as migrations/postgres/0003, which explains it. SQLite cannot change the
-- CHECKs of a table, so the tables are created again and the rows are copied.
CREATE TABLE api_key_events (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    at             INTEGER NOT NULL,
    kind           TEXT    NOT NULL CHECK (kind IN (
        'created', 'revoked', 'provisioned', 'given_up', 'portal_opened', 'portal_sessions_ended')),
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

CREATE INDEX api_key_events_by_account ON api_key_events (account_id, id);

CREATE TABLE api_partners_new (
    id               BLOB    PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    account_id       TEXT    NOT NULL,
    key_hash         BLOB    NOT NULL UNIQUE CHECK (length(key_hash) = 32),
    key_prefix       TEXT    NOT NULL,
    is_active        BOOLEAN NOT NULL DEFAULT TRUE,
    has_webhook      BOOLEAN NOT NULL DEFAULT FALSE,
    svix_app_id      TEXT,
    created_at       INTEGER NOT NULL,
    revoked_at       INTEGER,
    last_used_at     INTEGER,
    attempts         INTEGER NOT NULL DEFAULT 0,
    armed_at_attempt INTEGER NOT NULL DEFAULT 0,
    next_attempt_at  INTEGER,
    leased_until     INTEGER,
    last_error       TEXT,
    failed_at        INTEGER,
    CONSTRAINT api_partners_revoked CHECK (
        is_active = (revoked_at IS NULL)
        AND (is_active OR has_webhook OR next_attempt_at IS NULL)
    ),
    CONSTRAINT api_partners_one_state CHECK (
        CASE WHEN is_active
            THEN has_webhook + (next_attempt_at IS NOT NULL) + (failed_at IS NOT NULL) = 1
            ELSE next_attempt_at IS NULL OR failed_at IS NULL
        END
    ),
    CONSTRAINT api_partners_lease CHECK (
        leased_until IS NULL
        OR (next_attempt_at IS NOT NULL AND leased_until = next_attempt_at)
    ),
    CONSTRAINT api_partners_application CHECK (
        has_webhook = (svix_app_id IS NOT NULL)
    ),
    CONSTRAINT api_partners_account CHECK (length(account_id) BETWEEN 1 AND 255)
);

INSERT INTO api_partners_new
SELECT id, account_id, key_hash, key_prefix, is_active, has_webhook, svix_app_id, created_at,
       revoked_at, last_used_at, attempts, armed_at_attempt, next_attempt_at, leased_until,
       last_error, failed_at
FROM api_partners;

DROP TABLE api_partners;
ALTER TABLE api_partners_new RENAME TO api_partners;

CREATE UNIQUE INDEX api_partners_one_active_per_account ON api_partners (account_id) WHERE is_active;
CREATE INDEX api_partners_due ON api_partners (next_attempt_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX api_partners_failed ON api_partners (failed_at) WHERE failed_at IS NOT NULL;

CREATE TABLE sessions_new (
    token_hash BLOB    PRIMARY KEY NOT NULL CHECK (length(token_hash) = 32),
    account_id TEXT    NOT NULL,
    created_at INTEGER NOT NULL DEFAULT (unixepoch() * 1000000),
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    CONSTRAINT sessions_account CHECK (length(account_id) BETWEEN 1 AND 255)
);

INSERT INTO sessions_new
SELECT token_hash, account_id, created_at, expires_at, revoked_at
FROM sessions
WHERE length(account_id) BETWEEN 1 AND 255;

DROP TABLE sessions;
ALTER TABLE sessions_new RENAME TO sessions;

CREATE INDEX sessions_by_account ON sessions (account_id);
CREATE INDEX sessions_by_end ON sessions (expires_at);
