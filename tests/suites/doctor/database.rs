//! Mistakes with PostgreSQL.

use tests::{Role, TestDatabase};

use super::{Diagnosis, base, diagnose, with};

async fn diagnose_with(program: &str, url: &str) -> Diagnosis {
    diagnose(program, &with(&[("DATABASE_URL", url)])).await
}

#[tokio::test]
async fn what_is_wrong_with_the_connection_is_named() {
    let server = TestDatabase::create().await;
    let address = server.address();
    let (no_user, no_database, no_tls, no_name) = (
        format!("postgres://nobody:hunter2@{address}/postgres"),
        format!("postgres://postgres:hunter2@{address}/not_there"),
        format!("{}?sslmode=verify-full", server.url()),
        "postgres://user:hunter2@nothing.invalid/db",
    );
    let (base, no_schema) = (base(), server.url_for(Role::Worker));
    let (refused, no_user, no_database, no_tls, no_name, no_schema) = tokio::join!(
        diagnose("worker", &base),
        diagnose_with("worker", &no_user),
        diagnose_with("worker", &no_database),
        diagnose_with("worker", &no_tls),
        diagnose_with("worker", no_name),
        diagnose_with("worker", &no_schema),
    );
    let connection = "database.connection";
    refused.finds(
        connection,
        "error",
        "could not connect to 127.0.0.1:1 as user",
    );
    refused.finds("database.version", "skipped", "there is no connection");
    no_user.finds(connection, "error", "role \"nobody\" does not exist");
    no_database.finds(connection, "error", "database \"not_there\" does not exist");
    no_tls.finds(connection, "error", "server does not support TLS");
    no_name.finds(
        "database.name",
        "error",
        "the name nothing.invalid was not found",
    );
    no_name.finds(connection, "skipped", "");
    no_schema.finds("database.schema", "error", "api_key_events");
    no_schema.finds("database.privileges", "skipped", "not all tables are there");
    no_schema.finds("database.user", "warning", "postgres is a superuser");
    assert_eq!(no_schema.code, 2);
}

#[tokio::test]
async fn what_is_wrong_in_the_database_is_named() {
    let (left, right) = tokio::join!(TestDatabase::migrated(), TestDatabase::migrated());
    // Functions of this name come before PostgreSQL's, as if the server were another.
    let shadow = "
        CREATE SCHEMA shadow;
        GRANT USAGE ON SCHEMA shadow TO PUBLIC;
        CREATE FUNCTION shadow.clock_timestamp() RETURNS timestamptz LANGUAGE sql
            AS $$ SELECT pg_catalog.clock_timestamp() - interval '40 s' $$;
        CREATE FUNCTION shadow.current_setting(name text) RETURNS text LANGUAGE sql
            AS $$ SELECT CASE name WHEN 'server_version_num' THEN '120005'
                ELSE pg_catalog.current_setting(name) END $$;
        ALTER DATABASE THIS SET search_path = shadow, public, pg_catalog;
        INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
            VALUES (9999, 'of a later version', TRUE, '', 0);";
    let spoil = "
        DELETE FROM _sqlx_migrations WHERE version = 2;
        REVOKE SELECT ON sessions FROM partner_keys_api;
        REVOKE SELECT (token_hash, account_id, expires_at, revoked_at) ON sessions FROM partner_keys_api;
        REVOKE INSERT ON api_key_events FROM partner_keys_api, partner_keys_worker;
        REVOKE SELECT (version, success) ON _sqlx_migrations FROM partner_keys_worker;
        ALTER DATABASE THIS CONNECTION LIMIT 7;
        ALTER DATABASE THIS SET default_transaction_read_only = on;";
    tokio::join!(left.change(shadow), right.change(spoil));
    let (left_url, api_url, worker_url) = (
        left.url_for(Role::Worker),
        right.url_for(Role::Api),
        right.url_for(Role::Worker),
    );
    let (left, api, worker) = tokio::join!(
        diagnose_with("worker", &left_url),
        diagnose_with("api", &api_url),
        diagnose_with("worker", &worker_url),
    );
    left.finds("database.version", "error", "PostgreSQL");
    left.finds("database.clock", "error", "behind this machine's");
    left.finds(
        "database.schema",
        "warning",
        "newer than this program: migration 9999",
    );
    left.finds("database.privileges", "ok", "");

    api.finds("database.schema", "error", "migration 2 was not run");
    let lacks =
        "the user lacks INSERT on api_key_events; SELECT on sessions (token_hash, account_id";
    api.finds("database.privileges", "error", lacks);
    api.finds("database.writable", "error", "only reads");
    api.finds(
        "database.connections",
        "error",
        "opens up to 10, and the server allows 7",
    );
    worker.finds("database.schema", "warning", "cannot read _sqlx_migrations");
    worker.finds(
        "database.privileges",
        "error",
        "lacks INSERT on api_key_events",
    );
}
