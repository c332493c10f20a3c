//! Re-arming. Rows become due again and their tries start at zero, but older claims stay
//! invalid.

use std::collections::HashSet;

use rstest::rstest;
use shared::ids::KeyId;
use shared::store::{Job, NewKey, Outcome, Rearm};
use tests::stores::Database::{self, Postgres, Sqlite};
use tests::stores::{Row, StoreUnderTest, at, caller, job, minted};

use super::claims::{claim, create_with_outcome, dead_letter, provisioned, retry};

/// Creates one row in each state as of `at(100)`. Returns the name of each state and the id of
/// its row.
async fn create_row_in_each_state(db: &StoreUnderTest) -> Vec<(&'static str, KeyId)> {
    let due = db.mint("due", at(0)).await;
    let leased = db.mint("leased", at(0)).await;
    claim(db, job(leased.id, 0), at(160)).await;
    let revoked = create_with_outcome(db, "revoked", &dead_letter(at(1))).await;
    db.store
        .revoke_keys(&revoked.account_id, at(2), &caller())
        .await
        .unwrap();
    let revoked_provisioned = create_with_outcome(db, "revoked provisioned", &provisioned()).await;
    db.store
        .revoke_keys(&revoked_provisioned.account_id, at(2), &caller())
        .await
        .unwrap();
    let ending = claim(db, job(revoked_provisioned.id, 1), at(62)).await;
    let ended = Outcome::PortalSessionsEnded;
    assert!(db.store.finish(&ending, &ended, at(3)).await.unwrap());
    vec![
        ("due", due.id),
        ("leased", leased.id),
        (
            "waiting",
            create_with_outcome(db, "waiting", &retry(at(200))).await.id,
        ),
        (
            "provisioned",
            create_with_outcome(db, "provisioned", &provisioned())
                .await
                .id,
        ),
        (
            "failed",
            create_with_outcome(db, "failed", &dead_letter(at(1)))
                .await
                .id,
        ),
        ("revoked dead letter", revoked.id),
        ("revoked provisioned", revoked_provisioned.id),
        ("unknown", KeyId::generate(at(100))),
    ]
}

/// Checks that the row is due as of `at(100)`, that its tries are counted from there, and that
/// its next attempt can be claimed and completed.
async fn check_rearmed(db: &StoreUnderTest, key: &NewKey, sent: Job, attempts: i32) {
    assert_eq!(
        sent,
        job(key.id, attempts),
        "the number of attempts never decreases"
    );
    let mut row = db.row(key.id).await;
    row.last_error = None; // this may stay until the next outcome
    let armed = Row {
        attempts,
        armed_at_attempt: attempts,
        next_attempt_at: Some(at(100)),
        ..minted(key)
    };
    assert_eq!(row, armed);
    assert_eq!(db.store.due(at(100), 0, 10).await.unwrap(), [sent]);
    let claim = claim(db, sent, at(160)).await;
    assert_eq!((claim.attempt, claim.tries), (attempts + 1, 1));
    assert!(
        db.store
            .finish(&claim, &provisioned(), at(3))
            .await
            .unwrap()
    );
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provisioned_key_can_be_provisioned_again_with_new_tries(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = create_with_outcome(db, "acct", &provisioned()).await;
    let sent = db.store.reprovision(key.id, at(100)).await.unwrap();
    check_rearmed(db, &key, sent.unwrap(), 1).await;
    let sent = db.store.reprovision(key.id, at(100)).await.unwrap();
    check_rearmed(db, &key, sent.unwrap(), 2).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_provisioned_keys_are_provisioned_again(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let rows = create_row_in_each_state(db).await;
    let before = db.rows().await;
    for (state, id) in rows
        .into_iter()
        .filter(|(state, _)| *state != "provisioned")
    {
        let sent = db.store.reprovision(id, at(100)).await.unwrap();
        assert_eq!(sent, None, "{state}");
    }
    assert_eq!(db.rows().await, before);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_from_before_the_re_arming_writes_nothing(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = db.mint("acct", at(0)).await;
    let old = claim(db, job(key.id, 0), at(60)).await;
    assert!(db.store.finish(&old, &provisioned(), at(3)).await.unwrap());
    db.store.reprovision(key.id, at(1)).await.unwrap().unwrap();
    let before = db.rows().await;
    assert!(!db.store.finish(&old, &provisioned(), at(3)).await.unwrap());
    assert_eq!(db.rows().await, before);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_dead_letter_is_retried_with_new_tries(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = create_with_outcome(db, "acct", &dead_letter(at(1))).await;
    let sent = db
        .store
        .rearm(Rearm::One(key.id), at(100), 1)
        .await
        .unwrap();
    check_rearmed(db, &key, sent[0], 1).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_waiting_row_is_retried_immediately(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = create_with_outcome(db, "acct", &retry(at(5000))).await;
    let sent = db
        .store
        .rearm(Rearm::One(key.id), at(100), 1)
        .await
        .unwrap();
    check_rearmed(db, &key, sent[0], 1).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_neither_dead_letters_nor_waiting_are_not_retried(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let rows = create_row_in_each_state(db).await;
    let before = db.rows().await;
    for (state, id) in rows {
        if !["failed", "waiting"].contains(&state) {
            let sent = db.store.rearm(Rearm::One(id), at(100), 1).await.unwrap();
            assert_eq!(sent, [], "{state}");
        }
    }
    assert_eq!(db.rows().await, before);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_retried_oldest_first_within_the_limit_until_none_is_left(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let others = create_row_in_each_state(db).await;
    let mut letters = vec![(1, others[4].1)];
    for (i, seconds) in [40, 20, 50, 30].into_iter().enumerate() {
        let key = create_with_outcome(db, &format!("acct-{i}"), &dead_letter(at(seconds))).await;
        letters.push((seconds, key.id));
    }
    letters.sort_unstable();

    for oldest in letters.chunks(2) {
        let sent = db
            .store
            .rearm(Rearm::DeadLetters, at(100), 2)
            .await
            .unwrap();
        let sent: HashSet<Job> = sent.into_iter().collect();
        let oldest = oldest.iter().map(|(_, id)| job(*id, 1));
        assert_eq!(sent, oldest.collect());
    }
    let sent = db
        .store
        .rearm(Rearm::DeadLetters, at(100), 2)
        .await
        .unwrap();
    assert_eq!(sent, [], "no dead letter is left");
    let armed = db.rows().await.into_iter();
    let armed = armed.filter(|row| row.next_attempt_at == Some(at(100)));
    assert_eq!(armed.count(), letters.len(), "no other row was changed");
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_rows_are_retried_within_the_limit_until_none_is_left(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let others = create_row_in_each_state(db).await;
    let mut waiting = HashSet::from([job(others[2].1, 1)]);
    for i in 0..4 {
        let key = create_with_outcome(db, &format!("acct-{i}"), &retry(at(300))).await;
        waiting.insert(job(key.id, 1));
    }
    let mut sent = HashSet::new();
    for expected in [2, 2, 1, 0] {
        let jobs = db.store.rearm(Rearm::Waiting, at(100), 2).await.unwrap();
        assert_eq!(jobs.len(), expected);
        sent.extend(jobs);
    }
    assert_eq!(sent, waiting);
    for job in sent {
        assert_eq!(claim(db, job, at(160)).await.tries, 1);
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_created_after_a_revoked_dead_letter_starts_with_new_tries(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let dead = create_with_outcome(db, "acct", &dead_letter(at(1))).await;
    db.store
        .revoke_keys(&dead.account_id, at(2), &caller())
        .await
        .unwrap();
    let key = db.mint("acct", at(100)).await;
    check_rearmed(db, &key, job(key.id, 0), 0).await;
    assert!(
        db.row(dead.id).await.failed_at.is_some(),
        "the revoked dead letter is kept for audits"
    );
}
