-- The user with which KEDA counts the work that is due. It can do nothing else. Run it after roles.sql,
-- and then set its password:
--
--     psql "$DATABASE_URL" -f deploy/postgres/scaler.sql
--     psql "$DATABASE_URL" -c "ALTER USER keys_scaler PASSWORD '…'"
SELECT 'CREATE USER keys_scaler CONNECTION LIMIT 5'
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'keys_scaler')
\gexec
GRANT USAGE ON SCHEMA public TO keys_scaler;
GRANT SELECT (next_attempt_at) ON api_partners TO keys_scaler;
