-- One row a minted key. The row is the truth about the key and about the work
-- still to do for it (a transactional outbox without a second table).
CREATE TABLE api_partners (
    id               uuid        PRIMARY KEY,
    account_id       text        NOT NULL,
    -- SHA-256 of the whole key; the key itself is stored nowhere.
    key_hash         bytea       NOT NULL UNIQUE CHECK (octet_length(key_hash) = 32),
    key_prefix       text        NOT NULL,
    is_active        boolean     NOT NULL DEFAULT true,
    has_webhook      boolean     NOT NULL DEFAULT false,
    svix_app_id      text,
    created_at       timestamptz NOT NULL,
    revoked_at       timestamptz,
    last_used_at     timestamptz,
    -- Attempts ever claimed: the fencing token, so it only ever grows.
    attempts         integer     NOT NULL DEFAULT 0,
    -- What `attempts` was when the work was last (re-)armed: the retry budget
    -- and the backoff count from here.
    armed_at_attempt integer     NOT NULL DEFAULT 0,
    -- When the sweep should send the next attempt; null: nothing to do.
    next_attempt_at  timestamptz,
    -- While an attempt is being made: when its claim runs out.
    leased_until     timestamptz,
    -- For operators, scrubbed; never shown to partners.
    last_error       text,
    -- Set when the work was given up (dead letter).
    failed_at        timestamptz
);

-- One active key an account: the database decides who gets the 409.
CREATE UNIQUE INDEX api_partners_one_active_per_account ON api_partners (account_id) WHERE is_active;

-- The sweep reads the oldest due rows, and nothing else.
CREATE INDEX api_partners_due ON api_partners (next_attempt_at) WHERE next_attempt_at IS NOT NULL;

-- The dead letters, for the operators' commands.
CREATE INDEX api_partners_failed ON api_partners (failed_at) WHERE failed_at IS NOT NULL;

-- Written by the dashboard's login (or `api session issue`), read by the api.
CREATE TABLE sessions (
    -- SHA-256 of the token; the token itself is stored nowhere.
    token_hash bytea       PRIMARY KEY CHECK (octet_length(token_hash) = 32),
    account_id text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
);
