//! Rows that another transaction has locked, in PostgreSQL. They must hold up nobody who has
//! nothing to do with them, although many are served by one statement. A statement that waits
//! for such a row must heed what the other transaction has changed.

use std::sync::Arc;
use std::time::Duration;

use shared::ids::KeyId;
use shared::store::{Job, Outcome, Started, StoreError};
use sqlx::{Postgres, Transaction};
use tests::eventually;
use tests::stores::{Database, StoreUnderTest, at, caller, job, new_key};
use tokio::task::JoinSet;

use crate::store_conformance::claims::{
    claim, create_revoked, create_with_outcome, dead_letter, provisioned,
};

/// The deadline for steps whose duration is not tested.
const SOON: Duration = Duration::from_secs(20);

/// The number of keys, of which the first is locked.
const KEYS: usize = 20;

/// Creates keys. Returns their jobs.
async fn create(db: &StoreUnderTest) -> Vec<Job> {
    let mut jobs = Vec::new();
    for number in 0..KEYS {
        let key = db.mint(&format!("account-{number}"), at(0)).await;
        jobs.push(job(key.id, 0));
    }
    jobs
}

/// Locks a row until the transaction is dropped.
async fn lock(db: &StoreUnderTest, id: KeyId) -> Transaction<'static, Postgres> {
    let mut transaction = db.postgres().begin().await.unwrap();
    let lock = sqlx::query("SELECT id FROM api_partners WHERE id = $1 FOR UPDATE").bind(id);
    let locked = lock.execute(&mut *transaction).await.unwrap();
    assert_eq!(locked.rows_affected(), 1);
    transaction
}

/// Waits until another transaction waits for a lock of this one.
async fn until_waited_for(db: &StoreUnderTest, holder: &mut Transaction<'static, Postgres>) {
    let pid = sqlx::query_scalar("SELECT pg_backend_pid()");
    let pid: i32 = pid.fetch_one(&mut **holder).await.unwrap();
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid))";
    let waiting = || async {
        let waiting = sqlx::query_scalar(waits).bind(pid);
        waiting.fetch_one(db.postgres()).await.unwrap()
    };
    let is_waited_for = |count: &i64| *count > 0;
    eventually("another waits for the lock", SOON, waiting, is_waited_for).await;
}

/// Repeats a call whose wait for a lock has reached its time limit, as its caller does.
async fn patiently<T>(call: impl AsyncFn() -> Result<T, StoreError>) -> T {
    loop {
        match call().await {
            Ok(answer) => return answer,
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_row_is_not_claimed_and_the_others_are() {
    let db = StoreUnderTest::migrated(Database::Postgres).await;
    let jobs = create(&db).await;
    let transaction = lock(&db, jobs[0].key_id).await;
    let mut claims = JoinSet::new();
    for (number, job) in jobs.iter().copied().enumerate() {
        let store = Arc::clone(&db.store);
        claims.spawn(async move { (number, store.claim(job, at(1), at(60)).await.unwrap()) });
    }
    for (number, claim) in claims.join_all().await {
        assert_eq!(claim.is_some(), number != 0, "{number}");
    }
    transaction.rollback().await.unwrap();
    assert!(db.try_claim(jobs[0], at(60)).await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_outcome_of_a_locked_row_fails_alone() {
    let db = StoreUnderTest::migrated(Database::Postgres).await;
    let jobs = create(&db).await;
    let mut claims = Vec::new();
    for job in &jobs {
        claims.push(db.try_claim(*job, at(60)).await.unwrap());
    }
    let _transaction = lock(&db, jobs[0].key_id).await;
    let mut outcomes = JoinSet::new();
    for (number, claim) in claims.into_iter().enumerate() {
        let store = Arc::clone(&db.store);
        outcomes.spawn(async move {
            let svix_app_id = "app_1".to_owned();
            let outcome = Outcome::Provisioned { svix_app_id };
            (number, store.finish(&claim, &outcome, at(2)).await)
        });
    }
    for (number, written) in outcomes.join_all().await {
        match written {
            Ok(written) => assert!(written && number != 0, "{number}"),
            Err(error) => assert!(number == 0 && error.is_transient(), "{number}: {error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_creation_waits_for_no_other_account() {
    let db = StoreUnderTest::migrated(Database::Postgres).await;
    let known = db.mint("known", at(0)).await;
    // A revocation that is not committed: nobody knows whether the account has a key.
    let mut transaction = db.postgres().begin().await.unwrap();
    let revoke = "UPDATE api_partners SET is_active = FALSE, revoked_at = now(), next_attempt_at = NULL \
                  WHERE id = $1";
    let revoked = sqlx::query(revoke).bind(known.id);
    let revoked = revoked.execute(&mut *transaction).await.unwrap();
    assert_eq!(revoked.rows_affected(), 1);

    let mut creations = JoinSet::new();
    for account in ["known", "other-1", "other-2", "other-3"] {
        let (store, key) = (Arc::clone(&db.store), new_key(account, at(1)));
        creations.spawn(async move { (account, store.insert_key(&key, &caller()).await) });
    }
    for (account, created) in creations.join_all().await {
        match created {
            Ok(created) => assert!(created && account != "known", "{account}"),
            Err(error) => assert!(
                account == "known" && error.is_transient(),
                "{account}: {error}"
            ),
        }
    }
    drop(transaction);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_that_is_retried_while_a_purge_waits_for_it_is_not_deleted() {
    let db = &StoreUnderTest::migrated(Database::Postgres).await;
    let key = create_revoked(db, "account", at(4)).await;
    let claimed = claim(db, job(key.id, 1), at(64)).await;
    let given_up = dead_letter(at(5));
    assert!(db.store.finish(&claimed, &given_up, at(5)).await.unwrap());
    assert_eq!(db.store.count_revoked_keys(at(50)).await.unwrap(), 1);

    let mut retry = db.postgres().begin().await.unwrap();
    let rearm = "UPDATE api_partners SET failed_at = NULL, next_attempt_at = failed_at";
    let rearmed = sqlx::query(rearm).execute(&mut *retry).await.unwrap();
    assert_eq!(rearmed.rows_affected(), 1);
    let purged = patiently(async || db.store.purge_keys(at(50), 10).await);
    let retried = async {
        until_waited_for(db, &mut retry).await;
        retry.commit().await.unwrap();
    };
    let (purged, ()) = tokio::join!(purged, retried);
    assert_eq!(purged, 0);
    assert_eq!(db.row(key.id).await.next_attempt_at, Some(at(5)));
}

/// The other statements lock the keys of an account in this order. The order of the ids that a
/// plan chooses by itself can be any, so it is looked at several times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_locked_in_the_order_of_their_ids_to_be_provisioned_again() {
    let db = &StoreUnderTest::migrated(Database::Postgres).await;
    for round in 0..8 {
        let old = create_with_outcome(db, &format!("account-{round}"), &provisioned()).await;
        let new = new_key(old.account_id.as_str(), at(10));
        let started = db.store.start_rotation(&new, at(100), &caller()).await;
        assert!(matches!(started.unwrap(), Started::Started { .. }));
        assert!(old.id < new.id);

        let mut first = lock(db, old.id).await;
        let sent = patiently(async || db.store.reprovision(old.id, at(20)).await);
        let released = async {
            until_waited_for(db, &mut first).await;
            let second = "SELECT id FROM api_partners WHERE id = $1 FOR UPDATE NOWAIT";
            let second = sqlx::query(second).bind(new.id);
            second.execute(db.postgres()).await.unwrap();
            first.rollback().await.unwrap();
        };
        let (sent, ()) = tokio::join!(sent, released);
        assert_eq!(sent, Some(job(new.id, 0)), "{round}");
    }
}
