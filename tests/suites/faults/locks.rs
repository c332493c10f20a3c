//! Rows that another transaction has locked for long, in PostgreSQL. They must hold up nobody
//! who has nothing to do with them, although many are served by one statement.

use std::sync::Arc;

use shared::ids::KeyId;
use shared::store::{Job, Outcome};
use sqlx::{Postgres, Transaction};
use tests::stores::{Database, StoreUnderTest, at, caller, job, new_key};
use tokio::task::JoinSet;

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
