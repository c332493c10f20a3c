//! The versions of PostgreSQL that docs/OPERATIONS.md names.

use rstest::rstest;
use sqlx::{Connection, PgConnection};
use tests::postgres::IN_SCHEMAS;
use tests::{PrivatePostgres, heavy, rerun};

/// The cases that run on each version.
const CASES: &[&str] = &["store_conformance::", "lifecycle::", "faults::locks::"];

/// Cases without PostgreSQL, the one about the cases, and those that only repeat the migrations,
/// which each case runs.
const NOT_THESE: &[&str] = &["Embedded", "Sqlite", "every_case_runs", "schema::"];

/// The fewest cases that must have run.
const LEAST: usize = 66;

#[rstest]
#[tokio::test]
async fn stores_and_keys_behave_on(#[values(13, 14, 15, 16, 17, 18)] version: u32) {
    let _turn = heavy().await;
    let settings = [("max_connections", "500"), ("autovacuum", "off")];
    let server = PrivatePostgres::start_version(version, &settings).await;
    let mut connection = PgConnection::connect(&server.url()).await.unwrap();
    let actual: String = sqlx::query_scalar("SHOW server_version")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert!(actual.starts_with(&format!("{version}.")), "{actual}");
    let variables = [
        ("TEST_DATABASE_URL", server.url()),
        (IN_SCHEMAS, "yes".to_owned()),
    ];
    rerun(CASES, NOT_THESE, &variables, LEAST).await;
}
