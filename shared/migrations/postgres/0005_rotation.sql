-- A key that a rotation has replaced works until its end. Its row is like that of a revoked
-- key, so that a process of an earlier version refuses the key, and `expires_at` says how
-- long it works. docs/decisions/0010-rotation.md has the reasons.
ALTER TABLE api_partners
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN replaces   uuid;
ALTER TABLE api_partners ADD CONSTRAINT api_partners_previous CHECK (
    expires_at IS NULL OR (NOT is_active AND revoked_at = expires_at)
) NOT VALID;
ALTER TABLE api_partners VALIDATE CONSTRAINT api_partners_previous;

-- With the index on the active key: an account never has more than two live keys.
CREATE UNIQUE INDEX api_partners_one_previous_per_account ON api_partners (account_id)
    WHERE expires_at IS NOT NULL;

COMMENT ON COLUMN api_partners.expires_at IS 'The end of a key that a rotation has replaced, until something else has ended it.';
COMMENT ON COLUMN api_partners.replaces IS 'The id of the key that this key has replaced, unless the rotation was canceled.';

ALTER TABLE api_key_events DROP CONSTRAINT api_key_events_kind_check;
ALTER TABLE api_key_events ADD CONSTRAINT api_key_events_kind_check CHECK (kind IN (
    'created', 'revoked', 'replaced', 'restored', 'provisioned', 'given_up', 'portal_opened',
    'portal_sessions_ended')) NOT VALID;
ALTER TABLE api_key_events VALIDATE CONSTRAINT api_key_events_kind_check;
