//! The plans of the statements that every request runs.

use shared::session::SessionToken;
use sqlx::PgPool;
use tests::eventually;
use tests::stores::{Database, StoreUnderTest, at, caller};

use super::SOON;

/// The number of lookups. PostgreSQL plans the first five executions of a statement anew, and
/// may keep the plan then.
const LOOKUPS: i64 = 40;

/// Returns how often PostgreSQL has used an index of the keys, and of the sessions.
async fn index_scans(pool: &PgPool) -> [i64; 2] {
    let scans = "SELECT idx_scan FROM pg_stat_user_tables
                 WHERE relname IN ('api_partners', 'sessions') ORDER BY relname";
    let scans: Vec<i64> = sqlx::query_scalar(scans).fetch_all(pool).await.unwrap();
    scans.try_into().unwrap()
}

/// Checks the plans for a table with one row, which are kept when the table has grown.
#[tokio::test]
async fn no_lookup_reads_the_whole_table_however_it_has_grown() {
    let db = StoreUnderTest::migrated(Database::Postgres).await;
    let key = db.mint("known", at(0)).await;
    let session = SessionToken::generate().unwrap().hash();
    let stored = db
        .store
        .insert_session(&session, &key.account_id, at(0), at(100));
    stored.await.unwrap();
    db.execute("ANALYZE api_partners, sessions").await;
    let before = index_scans(db.postgres()).await;
    for _ in 0..LOOKUPS {
        let found = db.store.key_by_hash(&key.key_hash, at(1)).await.unwrap();
        assert_eq!(found.unwrap().id, key.id);
        let found = db.store.keys_of(&key.account_id).await.unwrap().active;
        assert_eq!(found.unwrap().id, key.id);
        let found = db.store.session_account(&session, at(1)).await.unwrap();
        assert_eq!(found.as_ref(), Some(&key.account_id));
        let found = db.store.keys_of_session(&session, at(1)).await.unwrap();
        assert_eq!(found.unwrap().keys.active.unwrap().id, key.id);
    }
    // Keys are looked up by hash, by account and by session, the last two each for the active
    // one and the one that it has replaced; sessions alone and with their keys.
    let least = [before[0] + 5 * LOOKUPS, before[1] + 2 * LOOKUPS];
    // The server counts with a delay.
    let counted = || index_scans(db.postgres());
    let all = |scans: &[i64; 2]| scans[0] >= least[0] && scans[1] >= least[1];
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
