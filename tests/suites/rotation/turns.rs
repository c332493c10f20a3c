//! The order of what changes the keys of one account, in PostgreSQL. SQLite has one writer.

use rstest::rstest;
use tests::eventually;
use tests::stores::{Database, StoreUnderTest, at, caller, new_key};

use super::SOON;

/// Row locks are not enough: the keys of an account change while one waits for them.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_an_account_s_keys_waits_for_its_turn(
    #[values("revoke", "start", "finish", "cancel")] change: &str,
) {
    let db = &StoreUnderTest::migrated(Database::Postgres).await;
    let key = db.mint("acct", at(0)).await;
    let other = db.mint("other", at(0)).await;
    let mut turn = db.postgres().begin().await.unwrap();
    let lock = "SELECT pg_advisory_xact_lock(
                    hashtextextended('acct', 'api_partners'::regclass::oid::bigint))";
    sqlx::query(lock).execute(&mut *turn).await.unwrap();

    let (store, caller) = (&db.store, &caller());
    let (account, now) = (&key.account_id, at(10));
    let new = new_key("acct", now);
    let run = async || match change {
        "revoke" => store.revoke_keys(account, now, caller).await.map(drop),
        "start" => store.start_rotation(&new, at(20), caller).await.map(drop),
        "finish" => store.finish_rotation(account, now, caller).await.map(drop),
        _ => store.cancel_rotation(account, now, caller).await.map(drop),
    };
    // A wait for a lock has a time limit, after which the client tries again.
    let changed = async {
        while let Err(error) = run().await {
            assert!(error.is_transient(), "{error}");
        }
    };
    let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND
                 database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let released = async {
        let waiting = || async {
            sqlx::query_scalar(waits)
                .fetch_one(db.postgres())
                .await
                .unwrap()
        };
        let is_waiting = |count: &i64| *count == 1;
        eventually("it waits for its turn", SOON * 2, waiting, is_waiting).await;
        let ended = store.revoke_keys(&other.account_id, now, caller).await;
        assert_eq!(ended.unwrap().len(), 1, "another account does not wait");
        turn.commit().await.unwrap();
    };
    tokio::join!(changed, released);
}
