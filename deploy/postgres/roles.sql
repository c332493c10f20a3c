-- The privileges of each part of the service, and no more. Run it in the service's
-- database after each `api migrate`: the first time as a superuser, later as a member of
-- partner_keys_migrate or as a superuser:
--
--     psql "$DATABASE_URL" -f deploy/postgres/roles.sql
--
-- The four roles cannot log in. Give each part a user that is a member of one:
--
--     CREATE USER keys_api PASSWORD '…' IN ROLE partner_keys_api;
--
--   partner_keys_migrate   api migrate, and the operators' commands; it owns the tables
--   partner_keys_login     your login, which writes and revokes sessions
--   partner_keys_api       api
--   partner_keys_worker    worker, worker status, worker retry
--
-- Only partner_keys_migrate, as the owner of the tables, can change or delete an event. The
-- worker can read no hash of a key, and no session.

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['partner_keys_migrate', 'partner_keys_login',
                                'partner_keys_api', 'partner_keys_worker'] LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = name);
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL; -- it was created at the same time
        END;
    END LOOP;
END
$$;

GRANT USAGE, CREATE ON SCHEMA public TO partner_keys_migrate;
ALTER TABLE api_partners OWNER TO partner_keys_migrate;
ALTER TABLE api_key_events OWNER TO partner_keys_migrate;
ALTER TABLE sessions OWNER TO partner_keys_migrate;
ALTER TABLE _sqlx_migrations OWNER TO partner_keys_migrate;

REVOKE ALL ON api_partners, api_key_events, sessions
    FROM PUBLIC, partner_keys_login, partner_keys_api, partner_keys_worker;

GRANT USAGE ON SCHEMA public TO partner_keys_login, partner_keys_api, partner_keys_worker;

-- A login inserts a session, and a logout sets revoked_at WHERE the hash is the token's.
GRANT INSERT (token_hash, account_id, created_at, expires_at),
      SELECT (token_hash, account_id, expires_at, revoked_at),
      UPDATE (revoked_at)
    ON sessions TO partner_keys_login;

GRANT SELECT, INSERT, UPDATE ON api_partners TO partner_keys_api;
GRANT SELECT (token_hash, account_id, expires_at, revoked_at) ON sessions TO partner_keys_api;
-- An account is shown its last revocation.
GRANT INSERT, SELECT (id, at, kind, account_id, actor, reason) ON api_key_events TO partner_keys_api;

GRANT SELECT (id, account_id, key_prefix, is_active, has_webhook, svix_app_id, created_at,
              revoked_at, expires_at, attempts, armed_at_attempt, next_attempt_at, leased_until,
              last_error, failed_at),
      UPDATE (has_webhook, svix_app_id, attempts, armed_at_attempt, next_attempt_at,
              leased_until, last_error, failed_at)
    ON api_partners TO partner_keys_worker;
GRANT INSERT ON api_key_events TO partner_keys_worker;

-- `api doctor` and `worker doctor` compare the schema with the one that they know.
GRANT SELECT (version, success) ON _sqlx_migrations TO partner_keys_api, partner_keys_worker;
