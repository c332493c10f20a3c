//! Completions of attempts, and the check that only the newest claim can write one.

use rstest::rstest;
use shared::clock::Timestamp;
use shared::store::{Claim, Outcome};
use tests::stores::Database::{self, Postgres, Sqlite};
use tests::stores::{Row, StoreUnderTest, at, caller, job, minted};
use tokio::task::JoinSet;

use super::claims::{claim, dead_letter, provisioned, retry};

/// Checks that the store refuses every outcome of this claim and writes nothing.
async fn check_every_outcome_is_refused(db: &StoreUnderTest, claim: &Claim) {
    let before = db.rows().await;
    let ended = Outcome::PortalSessionsEnded;
    for outcome in [provisioned(), ended, retry(at(500)), dead_letter(at(500))] {
        let finished = db.store.finish(claim, &outcome, at(3)).await.unwrap();
        assert!(!finished, "{outcome:?} by {claim:?}");
    }
    assert_eq!(db.rows().await, before);
}

/// Completes a first attempt. Returns the row after it and the row as it was created. Checks
/// that another row stays the same.
async fn row_after(db: &StoreUnderTest, outcome: &Outcome) -> (Row, Row) {
    let key = db.mint("acct", at(0)).await;
    let other = db.mint("other", at(0)).await;
    let claim = claim(db, job(key.id, 0), at(60)).await;
    assert!(db.store.finish(&claim, outcome, at(3)).await.unwrap());
    assert_eq!(db.row(other.id).await, minted(&other));
    (db.row(key.id).await, minted(&key))
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_success_provisions_the_row(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let (row, minted) = row_after(db, &provisioned()).await;
    let expected = Row {
        has_webhook: true,
        svix_app_id: Some("app_1".into()),
        attempts: 1,
        next_attempt_at: None,
        ..minted
    };
    assert_eq!(row, expected);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transient_failure_waits_for_its_next_attempt(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let (row, minted) = row_after(db, &retry(at(90))).await;
    let expected = Row {
        attempts: 1,
        next_attempt_at: Some(at(90)),
        last_error: Some("HTTP 500".into()),
        ..minted
    };
    assert_eq!(row, expected);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permanent_failure_makes_a_dead_letter(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let (row, minted) = row_after(db, &dead_letter(at(2))).await;
    let expected = Row {
        attempts: 1,
        next_attempt_at: None,
        last_error: Some("HTTP 422".into()),
        failed_at: Some(at(2)),
        ..minted
    };
    assert_eq!(row, expected);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_success_clears_the_last_error(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let (waiting, _) = row_after(db, &retry(at(90))).await;
    let claim = claim(db, job(waiting.id, 1), at(150)).await;
    assert!(
        db.store
            .finish(&claim, &provisioned(), at(3))
            .await
            .unwrap()
    );
    assert_eq!(db.row(waiting.id).await.last_error, None);
}

/// Checks that the time does not matter. Only a newer claim ends an older one.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_claim_can_be_completed_while_it_is_the_newest(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = db.mint("acct", at(0)).await;
    let claim = claim(db, job(key.id, 0), Timestamp::from_micros(0)).await;
    assert!(
        db.store
            .finish(&claim, &provisioned(), at(3))
            .await
            .unwrap()
    );
    assert!(db.row(key.id).await.has_webhook);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_claim_writes_nothing(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = db.mint("acct", at(0)).await;
    let older = claim(db, job(key.id, 0), at(60)).await;
    let newer = claim(db, job(key.id, 1), at(120)).await;
    check_every_outcome_is_refused(db, &older).await;
    assert!(
        db.store
            .finish(&newer, &retry(at(130)), at(3))
            .await
            .unwrap()
    );
    check_every_outcome_is_refused(db, &older).await;
    let newest = claim(db, job(key.id, 2), at(190)).await;
    check_every_outcome_is_refused(db, &older).await;
    check_every_outcome_is_refused(db, &newer).await;
    assert!(
        db.store
            .finish(&newest, &provisioned(), at(3))
            .await
            .unwrap()
    );
    check_every_outcome_is_refused(db, &older).await;
    check_every_outcome_is_refused(db, &newer).await;
}

/// A claim is not on disk at once, so a crash of the database may lose it.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_the_database_lost_writes_nothing(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = db.mint("acct", at(0)).await;
    let lost = claim(db, job(key.id, 0), at(60)).await;
    let lose = "UPDATE api_partners
                SET attempts = 0, next_attempt_at = created_at, leased_until = NULL";
    db.execute(lose).await;
    check_every_outcome_is_refused(db, &lost).await;

    let again = claim(db, job(key.id, 0), at(61)).await;
    assert_eq!(again.attempt, lost.attempt);
    check_every_outcome_is_refused(db, &lost).await;
    let (store, success) = (&db.store, provisioned());
    // Both in one batch.
    let (late, written) = tokio::join!(
        store.finish(&lost, &success, at(3)),
        store.finish(&again, &success, at(3))
    );
    assert_eq!((late.unwrap(), written.unwrap()), (false, true));
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_claim_of_a_revoked_key_writes_nothing(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = db.mint("acct", at(0)).await;
    let claim = claim(db, job(key.id, 0), at(60)).await;
    db.store
        .revoke_keys(&key.account_id, at(1), &caller())
        .await
        .unwrap();
    check_every_outcome_is_refused(db, &claim).await;

    let next = db.mint("acct", at(2)).await;
    check_every_outcome_is_refused(db, &claim).await;
    assert_eq!(db.row(next.id).await, minted(&next));
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_is_completed_only_once(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    for (i, outcome) in [provisioned(), retry(at(90)), dead_letter(at(2))]
        .into_iter()
        .enumerate()
    {
        let key = db.mint(&format!("acct-{i}"), at(0)).await;
        let claim = claim(db, job(key.id, 0), at(60)).await;
        assert!(db.store.finish(&claim, &outcome, at(3)).await.unwrap());
        check_every_outcome_is_refused(db, &claim).await;
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_50_concurrent_completions_is_written(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = db.mint("acct", at(0)).await;
    let claim = claim(db, job(key.id, 0), at(60)).await;
    let mut completions = JoinSet::new();
    for i in 0..50 {
        let (store, claim) = (db.store.clone(), claim.clone());
        let outcome = retry(at(100 + i));
        completions.spawn(async move {
            let written = store.finish(&claim, &outcome, at(3)).await.unwrap();
            written.then_some(at(100 + i))
        });
    }
    let completions = completions.join_all().await;
    let written: Vec<Timestamp> = completions.into_iter().flatten().collect();
    assert_eq!(written.len(), 1);
    assert_eq!(db.row(key.id).await.next_attempt_at, Some(written[0]));
}

/// Checks that neither an equal number of attempts nor an equal lease is enough.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_the_store_never_gave_writes_nothing(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = db.mint("acct", at(0)).await;
    let invented = Claim {
        key_id: key.id,
        account_id: key.account_id.clone(),
        attempt: 0,
        lease_end: at(60),
        tries: 1,
        created_at: at(0),
        revoked_at: None,
        svix_app_id: None,
        after_expired_lease: false,
    };
    check_every_outcome_is_refused(db, &invented).await;
    claim(db, job(key.id, 0), at(60)).await;
    for (attempt, lease_end) in [(0, at(60)), (2, at(60)), (1, at(59))] {
        let invented = Claim {
            attempt,
            lease_end,
            ..invented.clone()
        };
        check_every_outcome_is_refused(db, &invented).await;
    }
}
