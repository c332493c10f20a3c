//! Keys: creation, lookup and use.

use std::sync::Arc;
use std::time::Duration;

use rstest::rstest;
use shared::clock::Timestamp;
use shared::ids::{AccountId, KeyId};
use shared::secret_hash::SecretHash;
use shared::store::{KeyOfRequest, NewKey, Outcome};
use tests::stores::Database::{self, Postgres, Sqlite};
use tests::stores::{Row, StoreUnderTest, at, caller, job, minted, new_key};
use tokio::task::JoinSet;

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_is_stored_and_due_immediately(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = db.mint("acct", at(0)).await;
    assert_eq!(db.rows().await, [minted(&key)]);
    assert_eq!(db.store.due(at(0), 0, 10).await.unwrap(), [job(key.id, 0)]);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_has_at_most_one_active_key(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let first = db.mint("acct", at(0)).await;
    let second = new_key("acct", at(1));
    assert!(!db.store.insert_key(&second, &caller()).await.unwrap());
    assert_eq!(db.rows().await, [minted(&first)], "nothing was stored");

    let other = db.mint("other", at(2)).await;
    assert_eq!(db.rows().await, [minted(&first), minted(&other)]);

    db.store
        .revoke_keys(&first.account_id, at(3), &caller())
        .await
        .unwrap();
    assert!(db.store.insert_key(&second, &caller()).await.unwrap());
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_50_concurrent_creations_for_an_account_is_stored(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let mut creations = JoinSet::new();
    for _ in 0..50 {
        let store = db.store.clone();
        creations.spawn(async move {
            let key = new_key("acct", at(0));
            store.insert_key(&key, &caller()).await.unwrap()
        });
    }
    let stored = creations
        .join_all()
        .await
        .into_iter()
        .filter(|stored| *stored);
    assert_eq!(stored.count(), 1);
    assert_eq!(db.rows().await.len(), 1);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_duplicate_hash_or_id_is_a_permanent_error(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = db.mint("acct", at(0)).await;
    let same_hash = NewKey {
        key_hash: key.key_hash,
        ..new_key("other", at(1))
    };
    let same_id = NewKey {
        id: key.id,
        ..new_key("other", at(1))
    };
    for copy in [same_hash, same_id] {
        let refused = db.store.insert_key(&copy, &caller()).await.unwrap_err();
        assert!(!refused.is_transient(), "{refused}");
    }
    assert_eq!(db.rows().await, [minted(&key)]);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_repeated_creates_no_second_key(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let hash = SecretHash::of(b"request 1");
    let request = |account: &str, hash| NewKey {
        idempotency_hash: Some(hash),
        ..new_key(account, at(0))
    };
    let create = async |key: &NewKey| db.store.insert_key(key, &caller()).await.unwrap();
    let first = request("acct", hash);
    assert_eq!(db.of_request("acct", &hash).await, None);
    assert!(create(&first).await);
    let mut expected = KeyOfRequest {
        key_prefix: first.key_prefix.clone(),
        created_at: first.created_at,
        revoked_at: None,
    };
    assert!(!create(&request("acct", hash)).await);
    assert_eq!(db.of_request("acct", &hash).await, Some(expected.clone()));
    // A request that was refused is not remembered.
    let other = SecretHash::of(b"request 2");
    assert!(!create(&request("acct", other)).await);
    assert_eq!(db.of_request("acct", &other).await, None);

    let account = &first.account_id;
    db.store
        .revoke_keys(account, at(1), &caller())
        .await
        .unwrap();
    assert!(!create(&request("acct", hash)).await);
    expected.revoked_at = Some(at(1));
    assert_eq!(db.of_request("acct", &hash).await, Some(expected));
    assert_eq!(db.rows().await.len(), 1);

    assert!(create(&request("acct", other)).await, "another request");
    assert!(
        create(&request("another", hash)).await,
        "of another account"
    );
    db.store
        .revoke_keys(account, at(2), &caller())
        .await
        .unwrap();
    assert!(create(&new_key("acct", at(3))).await, "without the header");
}

/// A request and its repetitions, while the account also revokes its key.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_concurrent_repetitions_one_creates_a_key_also_if_it_is_revoked_meanwhile(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    // Two stores, as in two processes: their statements wait for each other.
    let stores = [db.store.clone(), db.another().await];
    for round in 0..20 {
        let hash = SecretHash::of(format!("{round}").as_bytes());
        let mut requests = JoinSet::new();
        for number in 0..16 {
            let store = Arc::clone(&stores[number % 2]);
            let key = NewKey {
                idempotency_hash: Some(hash),
                ..new_key("acct", at(0))
            };
            requests.spawn(async move {
                if number % 4 == 3 {
                    let account = &key.account_id;
                    store.revoke_keys(account, at(1), &caller()).await.unwrap();
                    return false;
                }
                store.insert_key(&key, &caller()).await.unwrap()
            });
        }
        let created = requests.join_all().await;
        let created = created.iter().filter(|created| **created).count();
        assert_eq!(created, 1, "round {round}");
        let account = AccountId::parse("acct").unwrap();
        db.store
            .revoke_keys(&account, at(2), &caller())
            .await
            .unwrap();
    }
}

/// Creations of the same moment share a statement.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_creation_that_is_refused_fails_no_other_of_the_same_moment(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let stored = db.mint("stored", at(0)).await;
    let mut creations = JoinSet::new();
    for number in 0..50 {
        let mut key = new_key(&format!("account-{number}"), at(0));
        if number == 25 {
            key.key_hash = stored.key_hash;
        }
        let store = Arc::clone(&db.store);
        creations.spawn(async move { (number, store.insert_key(&key, &caller()).await) });
    }
    for (number, created) in creations.join_all().await {
        match created {
            Ok(created) => assert!(created && number != 25, "{number}"),
            Err(error) => assert!(number == 25 && !error.is_transient(), "{number}: {error}"),
        }
    }
    assert_eq!(db.rows().await.len(), 50);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_active_key_is_returned_with_its_state(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = db.mint("acct", at(0)).await;
    let of = |account: &str| AccountId::parse(account).unwrap();
    let shown = db.store.keys_of(&of("acct")).await.unwrap().active.unwrap();
    assert_eq!(shown.id, key.id);
    assert_eq!(shown.account_id, key.account_id);
    assert_eq!(shown.key_prefix, key.key_prefix);
    assert_eq!(
        (shown.has_webhook, shown.svix_app_id, shown.attempts),
        (false, None, 0)
    );
    assert_eq!((shown.last_used_at, shown.failed_at), (None, None));
    assert_eq!(
        (shown.created_at, shown.next_attempt_at),
        (at(0), Some(at(0)))
    );
    assert!(
        db.store
            .keys_of(&of("other"))
            .await
            .unwrap()
            .active
            .is_none()
    );

    assert_eq!(shown.leased_until, None);
    db.try_claim(job(key.id, 0), at(60)).await;
    let leased = db.store.keys_of(&of("acct")).await.unwrap().active.unwrap();
    assert_eq!((leased.attempts, leased.leased_until), (1, Some(at(60))));
    assert_eq!(leased.next_attempt_at, Some(at(60)));

    db.store
        .revoke_keys(&of("acct"), at(1), &caller())
        .await
        .unwrap();
    assert!(
        db.store
            .keys_of(&of("acct"))
            .await
            .unwrap()
            .active
            .is_none()
    );
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_found_by_its_hash_only_while_active(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let key = db.mint("acct", at(0)).await;
    let other = db.mint("other", at(0)).await;
    let find = async |hash| {
        let found = db.store.key_by_hash(&hash, at(1)).await.unwrap();
        found.map(|found| (found.id, found.key_prefix))
    };
    let expected = (key.id, key.key_prefix.clone());
    assert_eq!(find(key.key_hash).await, Some(expected));
    assert_eq!(find(SecretHash::of(b"another key")).await, None);

    db.store
        .revoke_keys(&key.account_id, at(1), &caller())
        .await
        .unwrap();
    assert_eq!(find(key.key_hash).await, None);
    assert!(find(other.key_hash).await.is_some());
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn touching_writes_only_the_time_of_use(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let (key, other) = (db.mint("acct", at(0)).await, db.mint("other", at(0)).await);
    db.store.touch_keys(&[(key.id, at(7))]).await.unwrap();
    let touched = Row {
        last_used_at: Some(at(7)),
        ..minted(&key)
    };
    assert_eq!(db.rows().await, [touched, minted(&other)]);
    let unknown = KeyId::generate(at(8));
    db.store.touch_keys(&[(unknown, at(8))]).await.unwrap();
    assert_eq!(db.rows().await.len(), 2);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_are_read_as_they_were_written(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    // The first microsecond, odd ones, and the last of the year 9999.
    let instants = [1, 999_999, 1_800_000_000_123_457, 253_402_300_799_999_999];
    for (i, micros) in instants.into_iter().enumerate() {
        let instant = Timestamp::from_micros(micros);
        let key = db.mint(&format!("acct-{i}"), instant).await;
        db.store.touch_keys(&[(key.id, instant)]).await.unwrap();
        let read = db
            .store
            .keys_of(&key.account_id)
            .await
            .unwrap()
            .active
            .unwrap();
        assert_eq!(read.created_at, instant);
        assert_eq!(read.last_used_at, Some(instant));
        assert_eq!(read.next_attempt_at, Some(instant));
    }

    let key = db.mint("failing", at(0)).await;
    let odd = at(0) + Duration::from_micros(1);
    let claim = db.try_claim(job(key.id, 0), odd).await.unwrap();
    assert_eq!(claim.created_at, at(0));
    assert_eq!(db.row(key.id).await.leased_until, Some(odd));
    let error = String::new();
    let outcome = Outcome::DeadLetter { at: odd, error };
    db.store.finish(&claim, &outcome, at(3)).await.unwrap();
    let read = db
        .store
        .keys_of(&key.account_id)
        .await
        .unwrap()
        .active
        .unwrap();
    assert_eq!(read.failed_at, Some(odd));
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_that_differ_in_any_character_are_different(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let longest = "🦀".repeat(AccountId::MAX_CHARS);
    let accounts = [
        "auth0|名前-Ünïcode-🦀",
        "jo@example.org",
        "Jo@example.org",
        "jo@example.org ",
        "\u{e9}",   // é, one character
        "e\u{301}", // é, two
        "%",
        "_",
        "'; DROP TABLE api_partners; --",
        "\n",
        "\u{202e}",
        &longest,
    ];
    let mut keys = Vec::new();
    for account in accounts {
        keys.push(db.mint(account, at(0)).await);
    }
    for key in keys {
        let shown = db
            .store
            .keys_of(&key.account_id)
            .await
            .unwrap()
            .active
            .unwrap();
        assert_eq!(
            (shown.id, &shown.account_id),
            (key.id, &key.account_id),
            "each account has its own key"
        );
        let claim = db.try_claim(job(key.id, 0), at(60)).await;
        assert_eq!(claim.unwrap().account_id, key.account_id);
        let revoked = db
            .store
            .revoke_keys(&key.account_id, at(1), &caller())
            .await
            .unwrap();
        assert_eq!(revoked[0].key_id, key.id);
    }
}
