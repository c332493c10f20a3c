-- The same as migrations/postgres/0004, which explains it.
ALTER TABLE api_partners ADD COLUMN idempotency_hash BLOB
    CONSTRAINT api_partners_idempotency_hash CHECK (length(idempotency_hash) = 32);

CREATE UNIQUE INDEX api_partners_one_per_request ON api_partners (account_id, idempotency_hash)
    WHERE idempotency_hash IS NOT NULL;
