//! The plans of the statements that every request runs.

use sqlx::PgPool;
use tests::eventually;
use tests::stores::{Database, StoreUnderTest, at, caller};

use super::SOON;

/// The number of lookups. PostgreSQL plans the first five executions of a statement anew, and
/// may keep the plan then.
const LOOKUPS: i64 = 40;

/// Returns how often PostgreSQL has used an index of the table.
async fn index_scans(pool: &PgPool) -> i64 {
    let scans = "SELECT idx_scan FROM pg_stat_user_tables WHERE relname = 'api_partners'";
    sqlx::query_scalar(scans).fetch_one(pool).await.unwrap()
}

/// Checks the plans for a table with one row, which are kept when the table has grown.
#[tokio::test]
async fn no_lookup_reads_the_whole_table_however_it_has_grown() {
    let db = StoreUnderTest::migrated(Database::Postgres).await;
    let key = db.mint("known", at(0)).await;
    db.execute("ANALYZE api_partners").await;
    for _ in 0..LOOKUPS / 2 {
        let found = db.store.key_by_hash(&key.key_hash, at(1)).await.unwrap();
        assert_eq!(found.unwrap().id, key.id);
        let found = db.store.keys_of(&key.account_id).await.unwrap().active;
        assert_eq!(found.unwrap().id, key.id);
    }
    // The server counts with a delay.
    let counted = || index_scans(db.postgres());
    let all = |scans: &i64| *scans >= LOOKUPS;
    eventually("each lookup used an index", SOON, counted, all).await;
}

/// The newest event of all may be anybody's. The index by account leads to the account's own.
#[tokio::test]
async fn the_last_revocation_is_found_in_the_index_by_account() {
    let db = StoreUnderTest::migrated(Database::Postgres).await;
    let key = db.mint("known", at(0)).await;
    db.store
        .revoke_keys(&key.account_id, at(1), &caller())
        .await
        .unwrap();
    db.execute("ANALYZE api_key_events").await;
    for _ in 0..LOOKUPS {
        let last = db.store.last_revocation(&key.account_id).await.unwrap();
        assert_eq!(last.unwrap().at, at(1));
    }
    let scans = "SELECT idx_scan FROM pg_stat_user_indexes
                 WHERE indexrelname = 'api_key_events_by_account'";
    let counted = || async {
        let scans = sqlx::query_scalar(scans).fetch_one(db.postgres());
        scans.await.unwrap()
    };
    let all = |scans: &i64| *scans >= LOOKUPS;
    eventually("each lookup used the index", SOON, counted, all).await;
}
