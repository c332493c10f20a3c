//! Rotation: one key replaces another, and for a time both work.

use std::time::Duration;

use rstest::rstest;
use shared::clock::Timestamp;
use shared::ids::KeyId;
use shared::secret_hash::SecretHash;
use shared::store::{Canceled, KeyFilter, NewKey, Outcome, Rearm, Started, Work};
use tests::stores::Database::{self, Postgres, Sqlite};
use tests::stores::{Row, StoreUnderTest, at, caller, job, minted, new_key};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::claims::{claim, create_with_outcome, dead_letter, provisioned};

/// Starts a rotation of the account's key, which must succeed. Returns the new key.
async fn rotate(db: &StoreUnderTest, old: &NewKey, now: Timestamp, end: Timestamp) -> NewKey {
    let new = new_key(old.account_id.as_str(), now);
    let started = db.store.start_rotation(&new, end, &caller()).await.unwrap();
    let Started::Started { previous, .. } = started else {
        panic!("{started:?}");
    };
    assert_eq!(previous.key_id, old.id);
    new
}

/// Returns whether each of the keys is found by its hash at this time.
async fn work(db: &StoreUnderTest, keys: [&NewKey; 2], now: Timestamp) -> [bool; 2] {
    let mut found = [false; 2];
    for (key, found) in keys.into_iter().zip(&mut found) {
        let key = db.store.key_by_hash(&key.key_hash, now).await.unwrap();
        *found = key.is_some();
    }
    found
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_keys_work_until_the_end_of_the_previous_one(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let old = create_with_outcome(db, "acct", &provisioned()).await;
    let before = db.row(old.id).await;
    let new = rotate(db, &old, at(10), at(100)).await;

    let replaced = Row {
        is_active: false,
        revoked_at: Some(at(100)),
        expires_at: Some(at(100)),
        next_attempt_at: Some(at(100)),
        armed_at_attempt: before.attempts,
        ..before.clone()
    };
    let successor = Row {
        has_webhook: true,
        svix_app_id: before.svix_app_id,
        next_attempt_at: None,
        replaces: Some(old.id),
        ..minted(&new)
    };
    assert_eq!(db.rows().await, [replaced, successor]);
    let last = at(100) - Duration::from_micros(1);
    assert_eq!(work(db, [&old, &new], last).await, [true, true]);
    assert_eq!(work(db, [&old, &new], at(100)).await, [false, true]);

    let keys = db.store.keys_of(&old.account_id).await.unwrap();
    let previous = keys.previous.unwrap();
    assert_eq!((keys.active.unwrap().id, previous.id), (new.id, old.id));
    assert_eq!(previous.expires_at, Some(at(100)));

    let list = async |now| {
        let first = KeyId(Uuid::nil());
        let keys = db.store.keys(&KeyFilter::default(), now, first, 10).await;
        keys.unwrap().len()
    };
    assert_eq!((list(last).await, list(at(100)).await), (2, 1));
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_portal_sessions_of_the_previous_key_end_with_it_and_not_earlier(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let old = create_with_outcome(db, "acct", &provisioned()).await;
    rotate(db, &old, at(10), at(100)).await;
    let (store, ending) = (&db.store, job(old.id, 1));
    let last = at(100) - Duration::from_micros(1);

    assert_eq!(store.due(last, 0, 10).await.unwrap(), []);
    let early = store.claim(ending, last, at(160)).await.unwrap();
    assert_eq!(early, None, "a planted job");
    for which in [Rearm::One(old.id), Rearm::Waiting, Rearm::DeadLetters] {
        assert_eq!(store.rearm(which, last, 10).await.unwrap(), []);
    }
    assert_eq!(store.backlog(last).await.unwrap().waiting, 0);
    let open = async |now| {
        let opened = store.record_portal_opened(old.id, now, &caller()).await;
        opened.unwrap()
    };
    assert!(open(last).await && !open(at(100)).await);

    assert_eq!(store.due(at(100), 0, 10).await.unwrap(), [ending]);
    let claim = store.claim(ending, at(100), at(160)).await.unwrap();
    let claim = claim.unwrap();
    assert!(matches!(claim.work(), Work::EndPortalSessions { .. }));
    assert!(!open(last).await, "by a clock that is behind the worker's");
    let ended = Outcome::PortalSessionsEnded;
    assert!(store.finish(&claim, &ended, at(101)).await.unwrap());
    assert!(!open(last).await, "nobody would end its session");
    assert_eq!(store.due(at(1000), 0, 10).await.unwrap(), []);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_rotation_waits_for_the_end_of_the_first(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let start = async |now, end| {
        let key = new_key("acct", now);
        let started = db.store.start_rotation(&key, end, &caller()).await.unwrap();
        (key, started)
    };
    assert_eq!(start(at(0), at(9)).await.1, Started::NoKey);
    let first = db.mint("acct", at(0)).await;
    let second = rotate(db, &first, at(1), at(10)).await;
    let before = db.rows().await;
    assert_eq!(start(at(2), at(90)).await.1, Started::UnderWay);
    assert_eq!(db.rows().await, before, "the overlap is not extended");

    let (third, started) = start(at(10), at(20)).await;
    assert!(matches!(started, Started::Started { .. }));
    assert_eq!(work(db, [&second, &third], at(10)).await, [true, true]);
    // A process whose clock is behind sees no third key either.
    assert_eq!(work(db, [&first, &third], at(9)).await, [false, true]);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_start_creates_no_other_key(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let old = db.mint("acct", at(0)).await;
    let request = || NewKey {
        idempotency_hash: Some(SecretHash::of(b"request")),
        ..new_key("acct", at(1))
    };
    let start = async |key: &NewKey| {
        let started = db.store.start_rotation(key, at(100), &caller()).await;
        started.unwrap()
    };
    let first = request();
    assert!(matches!(start(&first).await, Started::Started { .. }));
    let finish = async || {
        let origin = caller();
        let done = db.store.finish_rotation(&old.account_id, at(2), &origin);
        done.await.unwrap();
    };
    // While the rotation is under way, and after its end.
    for _ in 0..2 {
        let Started::Repeated(key) = start(&request()).await else {
            panic!("it was the same request");
        };
        assert_eq!(key.key_prefix, first.key_prefix);
        finish().await;
    }
    assert_eq!(db.rows().await.len(), 2);
}

/// Changes of one account take turns, and one that waits too long for its own is refused. So
/// there are only as many as a busy machine serves in that time.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_20_concurrent_rotations_starts(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let old = db.mint("acct", at(0)).await;
    let mut starts = JoinSet::new();
    for _ in 0..20 {
        let store = db.store.clone();
        starts.spawn(async move {
            let key = new_key("acct", at(1));
            store.start_rotation(&key, at(100), &caller()).await
        });
    }
    let (mut started, mut refused) = (0, 0);
    for result in starts.join_all().await {
        match result.unwrap() {
            Started::Started { previous, .. } if previous.key_id == old.id => started += 1,
            Started::UnderWay => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((started, refused), (1, 19));
    assert_eq!(db.rows().await.len(), 2);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finishing_ends_the_previous_key_by_every_clock(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let old = create_with_outcome(db, "acct", &provisioned()).await;
    let new = rotate(db, &old, at(10), at(100)).await;
    let finish = async || {
        let origin = caller();
        let done = db.store.finish_rotation(&old.account_id, at(50), &origin);
        done.await.unwrap()
    };
    let ended = finish().await.unwrap();
    assert_eq!((ended.key_id, ended.job()), (old.id, Some(job(old.id, 1))));
    assert_eq!(work(db, [&old, &new], at(11)).await, [false, true]);
    let row = db.row(old.id).await;
    assert_eq!((row.revoked_at, row.expires_at), (Some(at(50)), None));
    assert_eq!(db.store.due(at(50), 0, 10).await.unwrap(), [job(old.id, 1)]);

    assert_eq!(finish().await, None);
    let origin = caller();
    let cancel = db.store.cancel_rotation(&old.account_id, at(51), &origin);
    assert_eq!(cancel.await.unwrap(), Canceled::Over);

    // What ended by itself keeps its end, and its sessions are not ended twice.
    let third = rotate(db, &new, at(60), at(70)).await;
    let origin = caller();
    let done = db.store.finish_rotation(&old.account_id, at(80), &origin);
    assert_eq!(done.await.unwrap(), None);
    let row = db.row(new.id).await;
    assert_eq!((row.revoked_at, row.expires_at), (Some(at(70)), None));
    assert_eq!(work(db, [&new, &third], at(69)).await, [false, true]);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn canceling_makes_the_previous_key_the_only_one_again(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let old = create_with_outcome(db, "acct", &provisioned()).await;
    let before = db.row(old.id).await;
    let new = rotate(db, &old, at(10), at(100)).await;
    let cancel = async |now| {
        let origin = caller();
        let done = db.store.cancel_rotation(&old.account_id, now, &origin);
        done.await.unwrap()
    };
    let Canceled::Canceled { revoked, job: none } = cancel(at(50)).await else {
        panic!("the rotation was under way");
    };
    assert_eq!(revoked.unwrap().key_id, new.id);
    assert_eq!(none, None, "nothing is provisioned again");
    let row = db.row(old.id).await;
    let armed_at_attempt = row.armed_at_attempt;
    let expected = Row {
        armed_at_attempt,
        ..before
    };
    assert_eq!(row, expected);
    assert_eq!(work(db, [&old, &new], at(100)).await, [true, false]);
    let due = db.store.due(at(50), 0, 10).await.unwrap();
    assert_eq!(due, [job(new.id, 0)], "the sessions of the new key end");

    assert_eq!(cancel(at(51)).await, Canceled::Nothing, "again");
    let other = rotate(db, &old, at(200), at(210)).await;
    assert_eq!(cancel(at(210)).await, Canceled::Over);
    assert_eq!(work(db, [&old, &other], at(210)).await, [false, true]);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoking_ends_both_keys_of_a_rotation(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let old = create_with_outcome(db, "acct", &provisioned()).await;
    let new = rotate(db, &old, at(10), at(100)).await;
    let origin = caller();
    let revoked = db.store.revoke_keys(&old.account_id, at(20), &origin);
    let mut ids: Vec<KeyId> = revoked
        .await
        .unwrap()
        .iter()
        .map(|key| key.key_id)
        .collect();
    ids.sort();
    assert_eq!(ids, [old.id, new.id]);
    assert_eq!(work(db, [&old, &new], at(11)).await, [false, false]);
    assert_eq!(db.store.due(at(20), 0, 10).await.unwrap().len(), 2);

    // One alone, by its id.
    let old = create_with_outcome(db, "other", &provisioned()).await;
    let new = rotate(db, &old, at(30), at(100)).await;
    let revoked = db.store.revoke_key_by_id(old.id, at(40), &caller()).await;
    assert_eq!(revoked.unwrap().unwrap().key_id, old.id);
    assert_eq!(work(db, [&old, &new], at(31)).await, [false, true]);
}

/// A worker whose clock is ahead has given up the portal sessions of a key that still works.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_previous_key_whose_work_is_a_dead_letter_can_be_revoked_before_its_end(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let given_up = async |account: &str| {
        let old = create_with_outcome(db, account, &provisioned()).await;
        let new = rotate(db, &old, at(10), at(100)).await;
        let claimed = claim(db, job(old.id, 1), at(160)).await;
        let dead_letter = dead_letter(at(100));
        let written = db.store.finish(&claimed, &dead_letter, at(100)).await;
        assert!(written.unwrap());
        (old, new)
    };
    let revoked = async |key: &NewKey, now| {
        let revoked = db.store.revoke_keys(&key.account_id, now, &caller()).await;
        revoked.unwrap().len()
    };
    let (old, new) = given_up("acct").await;
    assert_eq!(db.row(old.id).await.failed_at, Some(at(100)));

    assert_eq!(revoked(&old, at(99)).await, 2);
    let row = db.row(old.id).await;
    assert_eq!((row.failed_at, row.next_attempt_at), (None, Some(at(99))));
    assert_eq!(work(db, [&old, &new], at(11)).await, [false, false]);
    let ending = claim(db, job(old.id, 2), at(159)).await;
    assert!(matches!(ending.work(), Work::EndPortalSessions { .. }));
    assert_eq!(ending.tries, 1);

    // One that had ended by this clock keeps its dead letter.
    let (old, _) = given_up("other").await;
    assert_eq!(revoked(&old, at(101)).await, 1);
    let row = db.row(old.id).await;
    assert_eq!((row.failed_at, row.next_attempt_at), (Some(at(100)), None));
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_loses_no_provisioning(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let old = db.mint("acct", at(0)).await;
    let late = db.try_claim(job(old.id, 0), at(61)).await.unwrap();
    let new = rotate(db, &old, at(10), at(100)).await;
    let store = &db.store;
    assert!(
        !store.finish(&late, &provisioned(), at(11)).await.unwrap(),
        "the successor has the work"
    );
    assert_eq!(store.due(at(10), 0, 10).await.unwrap(), [job(new.id, 0)]);
    let adopt = async |now| store.adopt_application(old.id, now).await.unwrap();
    assert_eq!(adopt(at(12)).await, None);
    let claim = db.try_claim(job(new.id, 0), at(80)).await.unwrap();
    assert!(store.finish(&claim, &provisioned(), at(21)).await.unwrap());

    assert_eq!(adopt(at(100)).await, None, "the key has ended");
    let app = db.row(new.id).await.svix_app_id;
    assert_eq!(adopt(at(22)).await, app);
    let row = db.row(old.id).await;
    assert_eq!((row.svix_app_id, row.next_attempt_at), (app, Some(at(100))));

    // The application was deleted at Svix, as a request with the previous key finds.
    let sent = store.reprovision(old.id, at(30)).await.unwrap();
    assert_eq!(sent, Some(job(new.id, 1)));
    let [row, successor] = [db.row(old.id).await, db.row(new.id).await];
    assert_eq!((row.has_webhook, row.next_attempt_at), (false, None));
    assert_eq!(successor.next_attempt_at, Some(at(30)));
    let origin = caller();
    let canceled = store.cancel_rotation(&old.account_id, at(31), &origin);
    let Canceled::Canceled { job: sent, .. } = canceled.await.unwrap() else {
        panic!("the rotation was under way");
    };
    assert_eq!(sent, Some(job(old.id, 1)), "the restored key has the work");
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_is_recorded_and_an_ended_key_is_purged(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let old = db.mint("acct", at(0)).await;
    rotate(db, &old, at(10), at(100)).await;
    let origin = caller();
    let canceled = db.store.cancel_rotation(&old.account_id, at(20), &origin);
    canceled.await.unwrap();
    rotate(db, &old, at(30), at(100)).await;
    let origin = caller();
    let finished = db.store.finish_rotation(&old.account_id, at(40), &origin);
    finished.await.unwrap();
    let events = db.store.events(Some(&old.account_id), 100).await.unwrap();
    let kinds = events.iter().rev().map(|event| event.kind.as_str());
    let kinds: Vec<&str> = kinds.collect();
    let expected = [
        "created", "replaced", "created", "revoked", "restored", "replaced", "created", "revoked",
    ];
    assert_eq!(kinds, expected);
    let reason = events[0].reason.as_deref();
    assert_eq!(reason, Some("the rotation was finished"));

    assert_eq!(db.store.purge_keys(at(41), 10).await.unwrap(), 2);
    assert_eq!(db.rows().await.len(), 1);
}
