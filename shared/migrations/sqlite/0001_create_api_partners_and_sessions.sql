-- The same tables as migrations/postgres/0001, which explains them.
-- Times are microseconds since 1970, UTC: SQLite has no type for them, and
-- integers compare as times do.
CREATE TABLE api_partners (
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
    failed_at        INTEGER
);

CREATE UNIQUE INDEX api_partners_one_active_per_account ON api_partners (account_id) WHERE is_active;
CREATE INDEX api_partners_due ON api_partners (next_attempt_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX api_partners_failed ON api_partners (failed_at) WHERE failed_at IS NOT NULL;

CREATE TABLE sessions (
    token_hash BLOB    PRIMARY KEY NOT NULL CHECK (length(token_hash) = 32),
    account_id TEXT    NOT NULL,
    created_at INTEGER NOT NULL DEFAULT (unixepoch() * 1000000),
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER
);
