//! Writing what became of an attempt, and the fence around it.

use rstest::rstest;
use shared::clock::Timestamp;
use shared::store::{Claim, Outcome};
use tests::stores::Database::{self, Postgres, Sqlite};
use tests::stores::{Row, StoreUnderTest, at, job, minted};
use tokio::task::JoinSet;

use super::claims::{claim, failed, provisioned, retry};

/// Every way to finish is refused, and writes nothing.
async fn is_refused(db: &StoreUnderTest, claim: &Claim) {
    let before = db.rows().await;
    for outcome in [provisioned(), retry(at(500)), failed(at(500))] {
        let finished = db.store.finish(claim, &outcome).await.unwrap();
        assert!(!finished, "{outcome:?} by {claim:?}");
    }
    assert_eq!(db.rows().await, before);
}

/// Finishes a first attempt; the row afterwards, and as it was minted.
async fn after(db: &StoreUnderTest, outcome: &Outcome) -> (Row, Row) {
    let key = db.mint("acct", at(0)).await;
    let bystander = db.mint("bystander", at(0)).await;
    let claim = claim(db, job(key.id, 0), at(60)).await;
    assert!(db.store.finish(&claim, outcome).await.unwrap());
    assert_eq!(db.row(bystander.id).await, minted(&bystander));
    (db.row(key.id).await, minted(&key))
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_success_provisions_the_row(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let (row, minted) = after(db, &provisioned()).await;
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
async fn a_failure_that_may_pass_waits_for_its_next_attempt(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let (row, minted) = after(db, &retry(at(90))).await;
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
async fn a_failure_for_good_makes_a_dead_letter(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let (row, minted) = after(db, &failed(at(2))).await;
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
async fn a_success_forgets_the_last_error(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let (waiting, _) = after(db, &retry(at(90))).await;
    let claim = claim(db, job(waiting.id, 1), at(150)).await;
    assert!(db.store.finish(&claim, &provisioned()).await.unwrap());
    assert_eq!(db.row(waiting.id).await.last_error, None);
}

/// Nothing reads a clock here: only a newer claim ends an older one.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_ran_out_may_finish_while_it_is_the_newest(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = db.mint("acct", at(0)).await;
    let claim = claim(db, job(key.id, 0), Timestamp::from_micros(0)).await;
    assert!(db.store.finish(&claim, &provisioned()).await.unwrap());
    assert!(db.row(key.id).await.has_webhook);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_claim_writes_nothing(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = db.mint("acct", at(0)).await;
    let older = claim(db, job(key.id, 0), at(60)).await;
    let newer = claim(db, job(key.id, 1), at(120)).await;
    is_refused(db, &older).await;
    assert!(db.store.finish(&newer, &retry(at(130))).await.unwrap());
    is_refused(db, &older).await;
    let newest = claim(db, job(key.id, 2), at(190)).await;
    is_refused(db, &older).await;
    is_refused(db, &newer).await;
    assert!(db.store.finish(&newest, &provisioned()).await.unwrap());
    is_refused(db, &older).await;
    is_refused(db, &newer).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_claim_of_a_revoked_key_writes_nothing(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = db.mint("acct", at(0)).await;
    let claim = claim(db, job(key.id, 0), at(60)).await;
    db.store.revoke_key(&key.account_id, at(1)).await.unwrap();
    is_refused(db, &claim).await;

    let next = db.mint("acct", at(2)).await;
    is_refused(db, &claim).await;
    assert_eq!(db.row(next.id).await, minted(&next));
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_finishes_once(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    for (i, outcome) in [provisioned(), retry(at(90)), failed(at(2))]
        .into_iter()
        .enumerate()
    {
        let key = db.mint(&format!("acct-{i}"), at(0)).await;
        let claim = claim(db, job(key.id, 0), at(60)).await;
        assert!(db.store.finish(&claim, &outcome).await.unwrap());
        is_refused(db, &claim).await;
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_50_completions_at_once_one_is_written(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = db.mint("acct", at(0)).await;
    let claim = claim(db, job(key.id, 0), at(60)).await;
    let mut completions = JoinSet::new();
    for i in 0..50 {
        let (store, claim) = (db.store.clone(), claim.clone());
        let outcome = retry(at(100 + i));
        completions.spawn(async move {
            let written = store.finish(&claim, &outcome).await.unwrap();
            written.then_some(at(100 + i))
        });
    }
    let completions = completions.join_all().await;
    let written: Vec<Timestamp> = completions.into_iter().flatten().collect();
    assert_eq!(written.len(), 1);
    assert_eq!(db.row(key.id).await.next_attempt_at, Some(written[0]));
}

/// `attempts` equal is not enough: the attempt must be under way.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_nobody_gave_writes_nothing(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = db.mint("acct", at(0)).await;
    let invented = Claim {
        key_id: key.id,
        account_id: key.account_id.clone(),
        attempt: 0,
        tries: 1,
        created_at: at(0),
    };
    is_refused(db, &invented).await;
    claim(db, job(key.id, 0), at(60)).await;
    for attempt in [0, 2] {
        let invented = Claim {
            attempt,
            ..invented.clone()
        };
        is_refused(db, &invented).await;
    }
}
