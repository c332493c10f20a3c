//! Going back to the release before: its programs meet a schema with migrations that they do not
//! know. Those that they know must be as they were.

use std::path::Path;

use sqlx::{Connection, SqliteConnection};
use tests::process::binary;
use tests::{Deployment, Plan, Process, TestDatabase};
use tokio::process::Command;

/// What the migration of a later release leaves.
const LATER: &str = "
    ALTER TABLE api_partners ADD COLUMN of_a_later_release text;
    INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        VALUES (9999, 'of a later release', TRUE, '', 0)";

/// Makes a migration differ from the one that was run.
const OTHER: &str = "UPDATE _sqlx_migrations SET checksum = '0' WHERE version = 2";

/// Makes the later migration one that has failed half-way.
const HALF: &str = "UPDATE _sqlx_migrations SET success = FALSE WHERE version = 9999";

async fn migrate(url: &str) -> (bool, String) {
    let mut migrate = Command::new(binary("api"));
    migrate.arg("migrate").env_clear().env("DATABASE_URL", url);
    let ended = migrate.kill_on_drop(true).output().await.unwrap();
    let error = String::from_utf8(ended.stderr).unwrap();
    (ended.status.success(), error)
}

#[tokio::test]
async fn on_postgresql_the_older_release_migrates_nothing_and_serves() {
    let database = TestDatabase::migrated().await;
    let (pool, url) = (database.pool().await, database.url());
    let applied = async || -> Vec<(i64, Vec<u8>)> {
        let applied = "SELECT version, checksum FROM _sqlx_migrations ORDER BY version";
        sqlx::query_as(applied).fetch_all(&pool).await.unwrap()
    };
    sqlx::raw_sql(LATER).execute(&pool).await.unwrap();
    let before = applied().await;
    let (succeeded, error) = migrate(&url).await;
    assert!(succeeded, "{error}");
    assert_eq!(applied().await, before);

    let plan = Plan {
        database: Some(database),
        workers: 1,
        ..Plan::default()
    };
    let deployment = Deployment::planned(plan).await;
    assert_eq!(deployment.probe("/readyz").await.0, 200);
    let session = deployment.session().await;
    assert_eq!(deployment.client.create(&session).await.status, 201);

    for (change, problem) in [(HALF, "9999"), (OTHER, "2")] {
        sqlx::raw_sql(change).execute(&pool).await.unwrap();
        let (succeeded, error) = migrate(&url).await;
        assert!(!succeeded, "{change}");
        let problem = format!("migration {problem} ");
        assert!(error.contains(&problem), "{change}: {error}");
        let undo = "UPDATE _sqlx_migrations SET success = TRUE";
        sqlx::raw_sql(undo).execute(&pool).await.unwrap();
    }
}

fn start(dir: &Path) -> Process {
    let data = dir.join("data");
    let args = ["--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()];
    Process::start(dir, "standalone", &args, &[])
}

async fn stop(mut standalone: Process) {
    standalone.url().await;
    standalone.signal("TERM");
    assert!(standalone.ended().await.success(), "{}", standalone.log());
}

#[tokio::test]
async fn on_sqlite_the_older_release_starts() {
    let dir = tests::scratch();
    let database = format!(
        "sqlite://{}",
        dir.path().join("data/partner-keys.db").display()
    );
    let change = async |sql: &'static str| {
        let mut db = SqliteConnection::connect(&database).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut db).await.unwrap();
        db.close().await.unwrap();
    };
    stop(start(dir.path())).await;
    change(LATER).await;
    stop(start(dir.path())).await;

    change(OTHER).await;
    let (status, _, error) = start(dir.path()).run().await;
    assert!(!status.success(), "{error}");
    assert!(error.contains("migration 2 "), "{error}");
}
