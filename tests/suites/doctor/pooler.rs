//! A real PgBouncer in transaction mode, with the setting for it and without.

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use tests::{PgBouncer, Role, TestDatabase};

use super::{diagnose, with};

const PROGRAMS: [(Role, &str); 2] = [(Role::Api, "api"), (Role::Worker, "worker")];

/// Leaves a statement in the session that the pooler gives to this user next, as a process
/// without the setting does. It has the first name that such processes give.
async fn leave_a_statement(url: &str) {
    let options: PgConnectOptions = url.parse().unwrap();
    let options = options.extra_float_digits(None);
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    let prepare = sqlx::raw_sql("PREPARE sqlx_s_1 AS SELECT 1");
    prepare.execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_pooler_in_transaction_mode_is_named_without_the_setting_and_checked_through_with_it() {
    let database = TestDatabase::migrated().await;
    let pgbouncer = PgBouncer::start(&database.address()).await;
    let database = database.behind_pooler(pgbouncer.port());
    for (role, program) in PROGRAMS {
        let url = database.url_for(role);
        leave_a_statement(&url).await;
        let without = with(&[("DATABASE_URL", &url)]);
        let found = diagnose(program, &without).await;
        let mistake = "DATABASE_URL names a pooler in transaction mode";
        found.finds("database.pooler", "error", mistake);
        let fix = found.findings("database.pooler")[0]["fix"].as_str();
        assert!(fix.unwrap().contains("set DATABASE_POOLER=transaction"));
        assert_eq!(found.code, 2);

        let setting = with(&[("DATABASE_URL", &url), ("DATABASE_POOLER", "transaction")]);
        let found = diagnose(program, &setting).await;
        found.finds("database.pooler", "ok", "a pooler in transaction mode");
        found.finds("database.connections", "ok", "to the pooler");
        let all = found.report["findings"].as_array().unwrap();
        let about = |finding: &&_| is_about_database(finding);
        let about_database: Vec<_> = all.iter().filter(about).collect();
        assert_eq!(about_database.len(), 11, "{all:#?}");
        for finding in about_database {
            assert_eq!(finding["status"], "ok", "{finding}");
        }
    }
}

fn is_about_database(finding: &serde_json::Value) -> bool {
    let check = finding["check"].as_str().unwrap();
    check.starts_with("database.")
}

#[tokio::test]
async fn without_a_pooler_the_setting_is_no_mistake() {
    let database = TestDatabase::migrated().await;
    let url = database.url_for(Role::Worker);
    let setting = with(&[("DATABASE_URL", &url), ("DATABASE_POOLER", "transaction")]);
    let found = diagnose("worker", &setting).await;
    found.finds("database.pooler", "ok", "none was noticed");
    found.finds("database.privileges", "ok", "");
}
