-- The header Idempotency-Key of the request that created a key, so that a repetition of the
-- request can be told which key it created.
ALTER TABLE api_partners ADD COLUMN idempotency_hash bytea;
ALTER TABLE api_partners ADD CONSTRAINT api_partners_idempotency_hash CHECK (
    octet_length(idempotency_hash) = 32
) NOT VALID;
ALTER TABLE api_partners VALIDATE CONSTRAINT api_partners_idempotency_hash;

-- A request creates one key at most, also if that key was revoked since. Keys that were
-- created without the header are not in this index.
CREATE UNIQUE INDEX api_partners_one_per_request ON api_partners (account_id, idempotency_hash)
    WHERE idempotency_hash IS NOT NULL;

COMMENT ON COLUMN api_partners.idempotency_hash IS 'SHA-256 of the Idempotency-Key of the request that created the key.';
