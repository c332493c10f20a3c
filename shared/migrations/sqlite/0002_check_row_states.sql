-- The states of a row, as docs/ARCHITECTURE.md lists them, checked by the database.
-- The same as migrations/postgres/0002, which explains them. SQLite cannot add a
-- CHECK to a table, so the table is created again and the rows are copied.
CREATE TABLE api_partners_checked (
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
        AND (is_active OR next_attempt_at IS NULL)
    ),
    CONSTRAINT api_partners_one_state CHECK (
        has_webhook + (next_attempt_at IS NOT NULL) + (failed_at IS NOT NULL)
            BETWEEN is_active AND 1
    ),
    CONSTRAINT api_partners_lease CHECK (
        leased_until IS NULL
        OR (next_attempt_at IS NOT NULL AND leased_until = next_attempt_at)
    ),
    CONSTRAINT api_partners_application CHECK (
        has_webhook = (svix_app_id IS NOT NULL)
    )
);

INSERT INTO api_partners_checked
SELECT id, account_id, key_hash, key_prefix, is_active, has_webhook, svix_app_id, created_at,
       revoked_at, last_used_at, attempts, armed_at_attempt, next_attempt_at, leased_until,
       last_error, failed_at
FROM api_partners;

DROP TABLE api_partners;
ALTER TABLE api_partners_checked RENAME TO api_partners;

CREATE UNIQUE INDEX api_partners_one_active_per_account ON api_partners (account_id) WHERE is_active;
CREATE INDEX api_partners_due ON api_partners (next_attempt_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX api_partners_failed ON api_partners (failed_at) WHERE failed_at IS NOT NULL;
