//! The schema: migrations, and the ping that fails without it.

use std::sync::Arc;

use rstest::rstest;
use tests::stores::Database::{self, Postgres, Sqlite};
use tests::stores::{StoreUnderTest, at, caller, minted};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrating_again_keeps_the_data(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = db.mint("acct", at(0)).await;
    for _ in 0..3 {
        db.store.migrate().await.unwrap();
    }
    assert_eq!(db.rows().await, [minted(&key)]);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_can_migrate_at_the_same_time(
    #[values(Postgres, Sqlite)] database: Database,
) {
    const PROCESSES: usize = 8;
    let db = &StoreUnderTest::migrated(database).await;
    for _ in 0..5 {
        let empty = StoreUnderTest::empty(db.database).await;
        let (mut migrations, together) = (JoinSet::new(), Arc::new(Barrier::new(PROCESSES)));
        for _ in 0..PROCESSES {
            let (store, together) = (empty.another().await, together.clone());
            migrations.spawn(async move {
                together.wait().await;
                store.migrate().await
            });
        }
        for migrated in migrations.join_all().await {
            migrated.unwrap();
        }
        empty.store.ping().await.unwrap();
        empty.mint("acct", at(0)).await;
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ping_fails_without_the_schema(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    db.store.ping().await.unwrap();
    let empty = StoreUnderTest::empty(db.database).await;
    assert!(empty.store.ping().await.is_err());
    empty.store.migrate().await.unwrap();
    empty.store.ping().await.unwrap();
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ping_fails_without_one_of_the_tables(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    for table in ["sessions", "api_partners", "api_key_events"] {
        let other = StoreUnderTest::migrated(db.database).await;
        let drop = sqlx::AssertSqlSafe(format!("DROP TABLE {table}"));
        other.execute(drop).await;
        assert!(other.store.ping().await.is_err(), "{table}");
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_reads_what_another_wrote(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let another = db.another().await;
    let key = db.mint("acct", at(0)).await;
    let seen = another.keys_of(&key.account_id).await.unwrap().active;
    assert_eq!(seen.unwrap().id, key.id);
    another
        .revoke_keys(&key.account_id, at(1), &caller())
        .await
        .unwrap();
    let seen = db.store.keys_of(&key.account_id).await.unwrap().active;
    assert!(seen.is_none());
}
