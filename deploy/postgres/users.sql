-- The users of api and worker. Run it after roles.sql, with two variables that name files with the
-- passwords. Each run sets the passwords again:
--
--     API_PASSWORD_FILE=… WORKER_PASSWORD_FILE=… psql "$DATABASE_URL" -f deploy/postgres/users.sql
\set api_password `cat "$API_PASSWORD_FILE"`
\set worker_password `cat "$WORKER_PASSWORD_FILE"`

SELECT format('CREATE USER %I IN ROLE %I', 'keys_' || part, 'partner_keys_' || part)
    FROM unnest(ARRAY['api', 'worker']) AS part
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'keys_' || part)
\gexec
ALTER USER keys_api PASSWORD :'api_password';
ALTER USER keys_worker PASSWORD :'worker_password';
