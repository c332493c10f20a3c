//! Revocation: what it ends, and what work it leaves.

use rstest::rstest;
use shared::store::{Outcome, Work};
use tests::stores::Database::{self, Postgres, Sqlite};
use tests::stores::{Row, StoreUnderTest, at, caller, job, minted};
use tokio::task::JoinSet;

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoking_keeps_the_row_and_removes_its_work(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = db.mint("acct", at(0)).await;
    let other = db.mint("other", at(0)).await;
    db.try_claim(job(key.id, 0), at(60)).await;
    db.store
        .revoke_keys(&key.account_id, at(5), &caller())
        .await
        .unwrap();
    let revoked = Row {
        is_active: false,
        revoked_at: Some(at(5)),
        attempts: 1,
        armed_at_attempt: 1,
        next_attempt_at: None,
        leased_until: None,
        ..minted(&key)
    };
    assert_eq!(db.rows().await, [revoked, minted(&other)]);
    let due = db.store.due(at(1000), 0, 10).await.unwrap();
    assert_eq!(due, [job(other.id, 0)]);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoking_again_changes_nothing(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = db.mint("acct", at(0)).await;
    let revoke = async |now| {
        db.store
            .revoke_keys(&key.account_id, now, &caller())
            .await
            .unwrap()
    };
    let revoked = revoke(at(1)).await;
    assert_eq!(revoked.len(), 1);
    assert_eq!((revoked[0].key_id, revoked[0].job()), (key.id, None));
    assert_eq!(revoked[0].key_prefix, key.key_prefix);
    let before = db.rows().await;
    assert_eq!(revoke(at(2)).await, []);
    assert_eq!(db.rows().await, before);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoking_a_provisioned_key_makes_work_of_its_portal_sessions(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = db.mint("acct", at(0)).await;
    let claim = db.try_claim(job(key.id, 0), at(60)).await;
    let svix_app_id = "app_1".to_owned();
    let outcome = Outcome::Provisioned { svix_app_id };
    db.store
        .finish(&claim.unwrap(), &outcome, at(3))
        .await
        .unwrap();
    let revoked = db
        .store
        .revoke_keys(&key.account_id, at(1), &caller())
        .await
        .unwrap();
    assert_eq!(revoked[0].job(), Some(job(key.id, 1)));
    assert_eq!(db.store.due(at(1), 0, 10).await.unwrap(), [job(key.id, 1)]);
    let row = db.row(key.id).await;
    assert!(row.has_webhook && !row.is_active, "{row:?}");

    let claim = db.try_claim(job(key.id, 1), at(61)).await.unwrap();
    let svix_app_id = "app_1";
    assert_eq!(claim.work(), Work::EndPortalSessions { svix_app_id });
    assert_eq!((claim.attempt, claim.tries), (2, 1));
    let ended = Outcome::PortalSessionsEnded;
    assert!(db.store.finish(&claim, &ended, at(3)).await.unwrap());
    let done = Row {
        attempts: 2,
        next_attempt_at: None,
        ..row
    };
    assert_eq!(db.rows().await, [done]);
}

/// Changes of one account take turns, and one that waits too long for its own is refused. So
/// there are only as many as a busy machine serves in that time.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_20_concurrent_revocations_revokes_the_key(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = db.mint("acct", at(0)).await;
    let mut revocations = JoinSet::new();
    for _ in 0..20 {
        let (store, account) = (db.store.clone(), key.account_id.clone());
        revocations
            .spawn(async move { store.revoke_keys(&account, at(1), &caller()).await.unwrap() });
    }
    let revoked = revocations.join_all().await;
    assert_eq!(revoked.into_iter().flatten().count(), 1);
}
