//! The audit trail, and what else operators see and do.

use rstest::rstest;
use shared::ids::{AccountId, KeyId};
use shared::store::{Actor, KeyFilter, Origin, RevocationReason};
use tests::stores::Database::{self, Postgres, Sqlite};
use tests::stores::{StoreUnderTest, at, caller, job, new_key};
use uuid::Uuid;

use super::claims::{claim, create_revoked, create_with_outcome, dead_letter, provisioned, retry};

/// Returns the kinds and actors of the account's events, the oldest first.
async fn trail(db: &StoreUnderTest, account: &AccountId) -> Vec<(String, String)> {
    let events = db.store.events(Some(account), 100).await.unwrap();
    let events = events.into_iter().rev();
    events.map(|event| (event.kind, event.actor)).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let pairs = pairs.iter();
    pairs
        .map(|(kind, actor)| ((*kind).to_owned(), (*actor).to_owned()))
        .collect()
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_happens_to_a_key_is_recorded_once(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = create_with_outcome(db, "acct", &retry(at(1))).await;
    let account = &key.account_id;
    let again = claim(db, job(key.id, 1), at(61)).await;
    assert!(
        db.store
            .finish(&again, &provisioned(), at(2))
            .await
            .unwrap()
    );
    assert!(
        !db.store
            .finish(&again, &provisioned(), at(2))
            .await
            .unwrap()
    );
    let holder = Origin::of(Actor::KeyHolder);
    let opened = db.store.record_portal_opened(key.id, at(3), &holder).await;
    assert!(opened.unwrap());
    for _ in 0..2 {
        db.store
            .revoke_keys(account, at(4), &caller())
            .await
            .unwrap();
    }
    let late = db.store.record_portal_opened(key.id, at(5), &holder).await;
    assert!(!late.unwrap(), "the key is revoked");
    let ending = claim(db, job(key.id, 2), at(64)).await;
    let ended = shared::store::Outcome::PortalSessionsEnded;
    assert!(db.store.finish(&ending, &ended, at(6)).await.unwrap());
    let expected = pairs(&[
        ("created", "account"),
        ("provisioned", "worker"),
        ("portal_opened", "key_holder"),
        ("revoked", "account"),
        ("portal_sessions_ended", "worker"),
    ]);
    assert_eq!(trail(db, account).await, expected);

    let other = create_with_outcome(db, "other", &dead_letter(at(1))).await;
    assert!(
        !db.store
            .insert_key(&new_key("other", at(2)), &caller())
            .await
            .unwrap()
    );
    let expected = pairs(&[("created", "account"), ("given_up", "worker")]);
    assert_eq!(trail(db, &other.account_id).await, expected);
    assert_eq!(db.store.events(None, 100).await.unwrap().len(), 7);
    assert_eq!(db.store.events(None, 2).await.unwrap().len(), 2);
}

/// The account sees one of three words, and nothing of what an operator has written.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_revocation_of_an_account_has_its_time_and_reason(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let account = AccountId::parse("acct".to_owned()).unwrap();
    let last = async || db.store.last_revocation(&account).await.unwrap();
    assert_eq!(last().await, None);
    let by = |actor, reason: Option<&str>| Origin {
        reason: reason.map(Into::into),
        ..Origin::of(actor)
    };
    let mut seconds = 0;
    for (origin, reason) in [
        (by(Actor::Account, None), RevocationReason::ByYou),
        (by(Actor::Operator, None), RevocationReason::Operator),
        (
            by(Actor::Operator, Some("it leaked")),
            RevocationReason::Operator,
        ),
        (
            by(Actor::Operator, Some("leaked")),
            RevocationReason::Leaked,
        ),
        (
            by(Actor::Operator, Some("leaked: x")),
            RevocationReason::Leaked,
        ),
        (
            by(Actor::Report, Some("found at x")),
            RevocationReason::Leaked,
        ),
        (by(Actor::Account, Some("leaked")), RevocationReason::ByYou),
    ] {
        seconds += 2;
        let key = db.mint("acct", at(seconds)).await;
        let other = db.mint("acct2", at(seconds)).await;
        for (id, origin, end) in [
            (key.id, &origin, at(seconds)),
            (other.id, &by(Actor::Account, None), at(seconds + 1)),
        ] {
            let revoked = db.store.revoke_key_by_id(id, end, origin).await;
            assert!(revoked.unwrap().is_some());
        }
        let last = last().await.unwrap();
        assert_eq!(
            (last.at, last.reason()),
            (at(seconds), reason),
            "{origin:?}"
        );
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_stays_known_after_its_end(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = db.mint("acct", at(0)).await;
    let is_known = async |hash| db.store.is_known(hash).await.unwrap();
    assert!(is_known(&key.key_hash).await);
    db.store
        .revoke_keys(&key.account_id, at(1), &caller())
        .await
        .unwrap();
    assert!(is_known(&key.key_hash).await);
    assert!(!is_known(&new_key("acct", at(0)).key_hash).await);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_says_who_did_it_and_from_where(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let origin = Origin {
        actor: Actor::Operator,
        reason: Some("leaked".into()),
        session_id: Some("0123456789abcdef".into()),
        client_address: Some("2001:db8::7".into()),
        user_agent: Some("curl/8.5".into()),
        request_id: Some(Uuid::from_u128(7)),
    };
    let key = new_key("acct", at(0));
    assert!(db.store.insert_key(&key, &origin).await.unwrap());
    let revoked = db.store.revoke_key_by_id(key.id, at(1), &origin).await;
    assert_eq!(revoked.unwrap().unwrap().key_id, key.id);
    let again = db.store.revoke_key_by_id(key.id, at(2), &origin).await;
    assert_eq!(again.unwrap(), None);

    let events = db.store.events(Some(&key.account_id), 10).await.unwrap();
    assert_eq!(events.len(), 2);
    assert_eq!((events[0].at, events[1].at), (at(1), at(0)));
    for event in events {
        assert_eq!((event.key_id, &event.account_id), (key.id, &key.account_id));
        assert_eq!(event.key_prefix, key.key_prefix);
        let shown = Origin {
            actor: Actor::Operator,
            reason: event.reason,
            session_id: event.session_id,
            client_address: event.client_address,
            user_agent: event.user_agent,
            request_id: event.request_id,
        };
        assert_eq!(
            (shown, event.actor),
            (origin.clone(), "operator".to_owned())
        );
    }
}

/// The two are one transaction.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_event_nothing_happens(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = create_with_outcome(db, "acct", &provisioned()).await;
    let due = db.mint("due", at(0)).await;
    let claim = claim(db, job(due.id, 0), at(60)).await;
    let before = db.rows().await;
    db.execute("ALTER TABLE api_key_events RENAME TO gone")
        .await;
    let store = &db.store;
    assert!(
        store
            .insert_key(&new_key("new", at(1)), &caller())
            .await
            .is_err()
    );
    assert!(
        store
            .revoke_keys(&key.account_id, at(1), &caller())
            .await
            .is_err()
    );
    assert!(store.finish(&claim, &provisioned(), at(1)).await.is_err());
    assert_eq!(db.rows().await, before);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_find_keys_by_each_condition(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let old = create_revoked(db, "acct", at(2)).await;
    let new = db.mint("acct", at(10)).await;
    let other = db.mint("other", at(20)).await;
    let first = KeyId(Uuid::nil());
    let find = async |filter: KeyFilter, after| {
        let keys = db.store.keys(&filter, at(100), after, 10).await.unwrap();
        keys.into_iter().map(|key| key.id).collect::<Vec<_>>()
    };
    let any = KeyFilter::default;
    let account = Some(new.account_id.clone());
    assert_eq!(find(any(), first).await, [new.id, other.id]);
    assert_eq!(find(any(), new.id).await, [other.id]);
    let all = KeyFilter {
        with_revoked: true,
        ..any()
    };
    assert_eq!(find(all.clone(), first).await, [old.id, new.id, other.id]);
    let of_account = KeyFilter {
        account,
        ..all.clone()
    };
    assert_eq!(find(of_account, first).await, [old.id, new.id]);
    let prefix = Some(old.key_prefix.clone());
    let by_prefix = KeyFilter { prefix, ..all };
    assert_eq!(find(by_prefix.clone(), first).await, [old.id]);
    let active = KeyFilter {
        with_revoked: false,
        ..by_prefix
    };
    assert_eq!(find(active, first).await, []);
    let hash = Some(other.key_hash);
    assert_eq!(find(KeyFilter { hash, ..any() }, first).await, [other.id]);
    let created_before = Some(at(20));
    assert_eq!(
        find(
            KeyFilter {
                created_before,
                ..any()
            },
            first
        )
        .await,
        [new.id]
    );
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_revoked_keys_without_work_are_purged_and_their_events_stay(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let done = create_with_outcome(db, "done", &dead_letter(at(1))).await;
    db.store
        .revoke_keys(&done.account_id, at(5), &caller())
        .await
        .unwrap();
    let ending = create_revoked(db, "ending", at(5)).await;
    let later = db.mint("later", at(0)).await;
    db.store
        .revoke_keys(&later.account_id, at(50), &caller())
        .await
        .unwrap();
    let active = db.mint("active", at(0)).await;

    assert_eq!(db.store.count_revoked_keys(at(50)).await.unwrap(), 1);
    assert_eq!(db.store.purge_keys(at(50), 10).await.unwrap(), 1);
    let mut left: Vec<KeyId> = db.rows().await.into_iter().map(|row| row.id).collect();
    left.sort();
    assert_eq!(left, [ending.id, later.id, active.id]);
    assert_eq!(trail(db, &done.account_id).await.len(), 3);
}
