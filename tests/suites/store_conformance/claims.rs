//! Due rows, and claims on them.

use std::time::Duration;

use rstest::rstest;
use shared::clock::Timestamp;
use shared::ids::KeyId;
use shared::store::{Claim, Job, NewKey, Outcome};
use tests::stores::Database::{self, Postgres, Sqlite};
use tests::stores::{Row, StoreUnderTest, at, caller, job, minted};
use tokio::task::JoinSet;

/// Claims a job that can be claimed. Panics if it cannot.
pub async fn claim(db: &StoreUnderTest, job: Job, lease_end: Timestamp) -> Claim {
    let claim = db.try_claim(job, lease_end).await;
    claim.unwrap_or_else(|| panic!("{job:?} cannot be claimed"))
}

/// Creates a key and completes its first attempt with the given outcome.
pub async fn create_with_outcome(db: &StoreUnderTest, account: &str, outcome: &Outcome) -> NewKey {
    let key = db.mint(account, at(0)).await;
    let claim = claim(db, job(key.id, 0), at(60)).await;
    assert!(db.store.finish(&claim, outcome, at(3)).await.unwrap());
    key
}

/// Creates a key, provisions it and revokes it at the given time.
pub async fn create_revoked(db: &StoreUnderTest, account: &str, revoked_at: Timestamp) -> NewKey {
    let key = create_with_outcome(db, account, &provisioned()).await;
    let (account, origin) = (&key.account_id, caller());
    let revoked = db.store.revoke_keys(account, revoked_at, &origin).await;
    assert_eq!(revoked.unwrap().len(), 1);
    key
}

/// Returns the outcome of a success.
pub fn provisioned() -> Outcome {
    let svix_app_id = "app_1".into();
    Outcome::Provisioned { svix_app_id }
}

/// Returns the outcome of a failure that is retried at the given time.
pub fn retry(at: Timestamp) -> Outcome {
    let error = "HTTP 500".into();
    Outcome::Retry { at, error }
}

/// Returns the outcome of a permanent failure at the given time.
pub fn dead_letter(at: Timestamp) -> Outcome {
    let error = "HTTP 422".into();
    Outcome::DeadLetter { at, error }
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn due_rows_are_listed_oldest_first_within_the_limit(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let mut jobs = Vec::new();
    for (i, seconds) in [30, 10, 50, 20, 40].into_iter().enumerate() {
        let key = db.mint(&format!("acct-{i}"), at(seconds)).await;
        jobs.push((seconds, job(key.id, 0)));
    }
    jobs.sort_by_key(|(seconds, _)| *seconds);
    let jobs: Vec<Job> = jobs.into_iter().map(|(_, job)| job).collect();
    assert_eq!(db.store.due(at(100), 0, 10).await.unwrap(), jobs);
    assert_eq!(db.store.due(at(100), 0, 2).await.unwrap(), jobs[..2]);
    assert_eq!(db.store.due(at(100), 1, 2).await.unwrap(), jobs[1..3]);
    assert_eq!(db.store.due(at(30), 0, 10).await.unwrap(), jobs[..3]);
    assert_eq!(db.store.due(at(100), 0, 0).await.unwrap(), []);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_is_due_from_the_microsecond_of_its_next_attempt(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = create_with_outcome(db, "acct", &retry(at(90))).await;
    let before = at(90) - Duration::from_micros(1);
    assert_eq!(db.store.due(before, 0, 10).await.unwrap(), []);
    assert_eq!(db.store.due(at(90), 0, 10).await.unwrap(), [job(key.id, 1)]);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leased_row_is_not_due_until_the_lease_expires(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = db.mint("acct", at(0)).await;
    claim(db, job(key.id, 0), at(60)).await;
    let before = at(60) - Duration::from_micros(1);
    assert_eq!(db.store.due(before, 0, 10).await.unwrap(), []);
    assert_eq!(db.store.due(at(60), 0, 10).await.unwrap(), [job(key.id, 1)]);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_knows_that_the_lease_before_it_expired(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let crashed = db.mint("acct-1", at(0)).await;
    claim(db, job(crashed.id, 0), at(60)).await;
    let next = db.store.claim(job(crashed.id, 1), at(60), at(120)).await;
    assert!(next.unwrap().unwrap().after_expired_lease);

    let failed = create_with_outcome(db, "acct-2", &retry(at(60))).await;
    let next = db.store.claim(job(failed.id, 1), at(60), at(120)).await;
    assert!(!next.unwrap().unwrap().after_expired_lease);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_50_concurrent_claims_of_a_job_is_won(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = db.mint("acct", at(0)).await;
    let mut claims = JoinSet::new();
    for _ in 0..50 {
        let (store, job) = (db.store.clone(), job(key.id, 0));
        claims.spawn(async move { store.claim(job, at(0), at(60)).await.unwrap() });
    }
    let claims = claims.join_all().await;
    assert_eq!(claims.into_iter().flatten().count(), 1);
    assert_eq!(db.row(key.id).await.attempts, 1);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_counts_an_attempt_and_leases_the_row(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = db.mint("acct", at(0)).await;
    let expected = Claim {
        key_id: key.id,
        account_id: key.account_id.clone(),
        attempt: 1,
        lease_end: at(60),
        tries: 1,
        created_at: at(0),
        revoked_at: None,
        svix_app_id: None,
        after_expired_lease: false,
    };
    assert_eq!(claim(db, job(key.id, 0), at(60)).await, expected);
    let leased = Row {
        attempts: 1,
        next_attempt_at: Some(at(60)),
        leased_until: Some(at(60)),
        ..minted(&key)
    };
    assert_eq!(db.rows().await, [leased]);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_with_another_attempt_number_wins_no_claim(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = db.mint("acct", at(0)).await;
    claim(db, job(key.id, 0), at(60)).await;
    let before = db.rows().await;
    let others = [
        job(key.id, -1),
        job(key.id, 0),
        job(key.id, 2),
        job(key.id, i32::MAX),
        job(KeyId::generate(at(99)), 1),
    ];
    for other in others {
        assert_eq!(db.try_claim(other, at(99)).await, None);
    }
    assert_eq!(db.rows().await, before);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_comes_too_early_skips_neither_backoff_nor_lease(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = create_with_outcome(db, "acct", &retry(at(90))).await;
    let before = db.rows().await;
    let early = at(90) - Duration::from_micros(1);
    let planted = job(key.id, 1);
    assert_eq!(db.store.claim(planted, early, at(200)).await.unwrap(), None);
    assert_eq!(db.rows().await, before);
    assert!(
        db.store
            .claim(planted, at(90), at(150))
            .await
            .unwrap()
            .is_some()
    );

    let guessed = job(key.id, 2); // while the attempt runs
    assert_eq!(
        db.store.claim(guessed, at(149), at(300)).await.unwrap(),
        None
    );
    assert!(
        db.store
            .claim(guessed, at(150), at(210))
            .await
            .unwrap()
            .is_some()
    );
}

/// There is no backoff to skip, and the worker's clock may be behind the api's.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_attempt_waits_for_no_clock(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = db.mint("acct", at(30)).await;
    let first = db.store.claim(job(key.id, 0), at(0), at(60)).await;
    assert!(first.unwrap().is_some());
    let provisioned = create_with_outcome(db, "other", &provisioned()).await;
    let armed = db.store.reprovision(provisioned.id, at(100)).await;
    let again = db
        .store
        .claim(armed.unwrap().unwrap(), at(70), at(130))
        .await;
    assert!(again.unwrap().is_some());
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_without_work_cannot_be_claimed(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let provisioned = create_with_outcome(db, "provisioned", &provisioned()).await;
    let dead_letter = create_with_outcome(db, "failed", &dead_letter(at(1))).await;
    let revoked = db.mint("revoked", at(0)).await;
    let revoke = db
        .store
        .revoke_keys(&revoked.account_id, at(1), &caller())
        .await;
    revoke.unwrap();
    let leased = db.mint("revoked while leased", at(0)).await;
    claim(db, job(leased.id, 0), at(60)).await;
    let revoke = db
        .store
        .revoke_keys(&leased.account_id, at(1), &caller())
        .await;
    revoke.unwrap();

    let before = db.rows().await;
    for row in &before {
        let job = job(row.id, row.attempts);
        assert_eq!(
            db.store.claim(job, at(1000), at(1060)).await.unwrap(),
            None,
            "{row:?}"
        );
    }
    assert_eq!(before.len(), 4);
    assert_eq!(
        (before[0].id, before[1].id),
        (provisioned.id, dead_letter.id)
    );
    assert_eq!(db.rows().await, before);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_claim_after_an_expired_lease_counts_an_attempt(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = db.mint("acct", at(0)).await;
    for attempt in 0..5_i32 {
        let lease_end = at(60 * (1 + u64::try_from(attempt).unwrap()));
        let claim = claim(db, job(key.id, attempt), lease_end).await;
        assert_eq!((claim.attempt, claim.tries), (attempt + 1, attempt + 1));
        let due = db.store.due(lease_end, 0, 10).await.unwrap();
        assert_eq!(due, [job(key.id, attempt + 1)]);
    }
}
