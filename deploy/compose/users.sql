-- The users of api and worker in PostgreSQL. Run it with psql after roles.sql. The variables
-- API_PASSWORD_FILE and WORKER_PASSWORD_FILE name files with their passwords; each run sets them again.
\set api_password `cat "$API_PASSWORD_FILE"`
\set worker_password `cat "$WORKER_PASSWORD_FILE"`

SELECT format('CREATE USER %I IN ROLE %I', 'keys_' || part, 'partner_keys_' || part)
    FROM unnest(ARRAY['api', 'worker']) AS part
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'keys_' || part)
\gexec
ALTER USER keys_api PASSWORD :'api_password';
ALTER USER keys_worker PASSWORD :'worker_password';
