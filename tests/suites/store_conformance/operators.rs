//! The backlog and the dead letters that operators see.

use rstest::rstest;
use shared::store::{Backlog, DeadLetter, Rearm, Work};
use tests::stores::Database::{self, Postgres, Sqlite};
use tests::stores::{StoreUnderTest, at, caller, job};

use super::claims::{claim, create_revoked, create_with_outcome, dead_letter, provisioned, retry};

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_backlog_of_an_empty_store_is_empty(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let nothing = Backlog {
        due: 0,
        leased: 0,
        waiting: 0,
        failed: 0,
        oldest_due: None,
    };
    assert_eq!(db.store.backlog(at(0)).await.unwrap(), nothing);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_backlog_counts_each_row_in_its_state(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    for i in 0..2 {
        create_with_outcome(db, &format!("provisioned-{i}"), &provisioned()).await;
    }
    for i in 0..3 {
        create_with_outcome(db, &format!("failed-{i}"), &dead_letter(at(1))).await;
    }
    for i in 0..4 {
        create_with_outcome(db, &format!("waiting-{i}"), &retry(at(200))).await;
    }
    for i in 0..5 {
        let key = db.mint(&format!("leased-{i}"), at(0)).await;
        claim(db, job(key.id, 0), at(160)).await;
    }
    for i in 0..6 {
        db.mint(&format!("due-{i}"), at(50 + i)).await;
    }
    let revoked = create_with_outcome(db, "revoked", &dead_letter(at(1))).await;
    let revoke = db
        .store
        .revoke_keys(&revoked.account_id, at(2), &caller())
        .await;
    revoke.unwrap();

    let at_100 = Backlog {
        due: 6,
        leased: 5,
        waiting: 4,
        failed: 3,
        oldest_due: Some(at(50)),
    };
    assert_eq!(db.store.backlog(at(100)).await.unwrap(), at_100);
    let leases_ran_out = Backlog {
        due: 11,
        leased: 0,
        ..at_100.clone()
    };
    assert_eq!(db.store.backlog(at(160)).await.unwrap(), leases_ran_out);
    let all_due = Backlog {
        due: 15,
        leased: 0,
        waiting: 0,
        ..at_100
    };
    assert_eq!(db.store.backlog(at(200)).await.unwrap(), all_due);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_backlog_is_counted_up_to_the_limit(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    for i in 0..4 {
        create_with_outcome(db, &format!("failed-{i}"), &dead_letter(at(1))).await;
        create_with_outcome(db, &format!("waiting-{i}"), &retry(at(200))).await;
        db.mint(&format!("due-{i}"), at(50 + i)).await;
    }
    let key = db.mint("leased", at(0)).await;
    claim(db, job(key.id, 0), at(160)).await;
    let limited = Backlog {
        due: 3,
        leased: 1,
        waiting: 2,
        failed: 3,
        oldest_due: Some(at(50)),
    };
    assert_eq!(db.store.backlog_up_to(at(100), 3).await.unwrap(), limited);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_listed_oldest_first_within_the_limit(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let mut letters = Vec::new();
    for (i, seconds) in [30, 10, 20].into_iter().enumerate() {
        let key = create_with_outcome(db, &format!("acct-{i}"), &dead_letter(at(seconds))).await;
        letters.push(DeadLetter {
            key_id: key.id,
            account_id: key.account_id,
            revoked_at: None,
            attempts: 1,
            failed_at: at(seconds),
            last_error: Some("HTTP 422".into()),
        });
    }
    create_with_outcome(db, "waiting", &retry(at(200))).await;
    create_with_outcome(db, "provisioned", &provisioned()).await;
    letters.sort_by_key(|letter| letter.failed_at);
    assert_eq!(db.store.dead_letters(10).await.unwrap(), letters);
    assert_eq!(db.store.dead_letters(2).await.unwrap(), letters[..2]);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoked_dead_letters_are_not_listed(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = create_with_outcome(db, "acct", &dead_letter(at(1))).await;
    assert_eq!(db.store.dead_letters(10).await.unwrap().len(), 1);
    db.store
        .revoke_keys(&key.account_id, at(2), &caller())
        .await
        .unwrap();
    assert_eq!(db.store.dead_letters(10).await.unwrap(), []);
}

/// Somebody may still be in the portal with the key.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn portal_sessions_that_could_not_be_ended_are_listed_and_can_be_retried(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = create_revoked(db, "acct", at(2)).await;
    let claim = claim(db, job(key.id, 1), at(62)).await;
    let given_up = dead_letter(at(4));
    assert!(db.store.finish(&claim, &given_up, at(4)).await.unwrap());
    let letters = db.store.dead_letters(10).await.unwrap();
    assert_eq!((letters.len(), letters[0].revoked_at), (1, Some(at(2))));
    assert_eq!(db.store.backlog(at(5)).await.unwrap().failed, 1);

    for which in [Rearm::One(key.id), Rearm::DeadLetters] {
        let sent = db.store.rearm(which, at(100), 10).await.unwrap();
        assert_eq!(sent.len(), 1, "{which:?}");
        let claim = db.try_claim(sent[0], at(160)).await.unwrap();
        let svix_app_id = "app_1";
        assert_eq!(claim.work(), Work::EndPortalSessions { svix_app_id });
        assert_eq!(claim.tries, 1);
        assert!(db.store.finish(&claim, &given_up, at(101)).await.unwrap());
    }
}
