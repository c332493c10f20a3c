//! Sessions: creation, expiry and revocation.

use std::time::Duration;

use futures_util::future::join_all;
use rstest::rstest;
use shared::clock::Timestamp;
use shared::ids::AccountId;
use shared::secret_hash::SecretHash;
use shared::session::SessionToken;
use shared::store::{SessionKeys, Started};
use tests::stores::Database::{self, Postgres, Sqlite};
use tests::stores::{StoreUnderTest, at, caller, new_key};

/// Creates a session that expires at `at(100)`.
async fn create_session(db: &StoreUnderTest, account: &str) -> (SessionToken, AccountId) {
    let (token, account) = (
        SessionToken::generate().unwrap(),
        AccountId::parse(account).unwrap(),
    );
    let inserted = db
        .store
        .insert_session(&token.hash(), &account, at(0), at(100))
        .await;
    inserted.unwrap();
    (token, account)
}

/// Returns the account of a session, which is found alone and with its keys.
async fn account_of(db: &StoreUnderTest, token: SecretHash, now: Timestamp) -> Option<AccountId> {
    let account = db.store.session_account(&token, now).await.unwrap();
    let with_keys = db.store.keys_of_session(&token, now).await.unwrap();
    assert_eq!(with_keys.map(|found| found.account), account);
    account
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_belongs_to_its_account_until_it_expires(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let last = at(100) - Duration::from_micros(1);
    for account in ["acct", "auth0|名前-🦀"] {
        let (token, account) = create_session(db, account).await;
        let (_another, _) = create_session(db, account.as_str()).await;
        let found = async |now| account_of(db, token.hash(), now).await;
        assert_eq!(found(at(0)).await.as_ref(), Some(&account));
        assert_eq!(found(last).await.as_ref(), Some(&account));
        assert_eq!(found(at(100)).await, None);
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_session_belongs_to_no_account(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let (revoked, _) = create_session(db, "revoked").await;
    let (other, account) = create_session(db, "other").await;
    let revoke = "UPDATE sessions SET revoked_at = created_at WHERE account_id = 'revoked'";
    assert_eq!(db.execute(revoke).await, 1);
    assert_eq!(account_of(db, revoked.hash(), at(1)).await, None);
    assert_eq!(account_of(db, other.hash(), at(1)).await, Some(account));
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_session_belongs_to_no_account(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    create_session(db, "acct").await;
    let unknown = SessionToken::generate().unwrap().hash();
    assert_eq!(account_of(db, unknown, at(1)).await, None);
}

/// Of accounts with a key, a rotation, a revoked key and none, asked at once.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_leads_to_the_keys_of_its_account(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let accounts = ["key", "rotation", "revoked", "none", "key"];
    let keyed = db.mint("key", at(0)).await;
    let old = db.mint("rotation", at(0)).await;
    let new = new_key("rotation", at(0));
    let started = db.store.start_rotation(&new, at(60), &caller()).await;
    assert!(matches!(started.unwrap(), Started::Started { .. }));
    let revoked = db.mint("revoked", at(0)).await.account_id;
    db.store
        .revoke_keys(&revoked, at(0), &caller())
        .await
        .unwrap();

    let sessions = join_all(accounts.map(|account| create_session(db, account))).await;
    let found = join_all(sessions.into_iter().map(|(token, account)| async move {
        let found = db.store.keys_of_session(&token.hash(), at(1)).await;
        let SessionKeys {
            account: signed_in,
            keys,
        } = found.unwrap().unwrap();
        assert_eq!(signed_in, account);
        let alone = db.store.keys_of(&account).await.unwrap();
        assert_eq!(format!("{keys:?}"), format!("{alone:?}"));
        [keys.active, keys.previous].map(|key| key.map(|key| key.id))
    }));
    let expected = [
        [Some(keyed.id), None],
        [Some(new.id), Some(old.id)],
        [None, None],
        [None, None],
        [Some(keyed.id), None],
    ];
    assert_eq!(found.await, expected);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_token_can_be_stored_only_once(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    let (token, account) = create_session(db, "acct").await;
    let other = AccountId::parse("other").unwrap();
    let again = db
        .store
        .insert_session(&token.hash(), &other, at(0), at(100))
        .await;
    assert!(!again.unwrap_err().is_transient());
    assert_eq!(account_of(db, token.hash(), at(1)).await, Some(account));
}

/// The login writes sessions too, and may have a defect.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_refuses_a_session_of_no_account(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    create_session(db, "acct").await;
    let longest = "a".repeat(256);
    for account in ["", &longest] {
        let update = format!("UPDATE sessions SET account_id = '{account}'");
        let refused = db.try_execute(sqlx::AssertSqlSafe(update)).await;
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("sessions_account"), "{error}");
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_list_and_revoke_valid_sessions_and_purge_the_others(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let (token, account) = create_session(db, "acct").await;
    let (_, other) = create_session(db, "other").await;
    let store = &db.store;
    let listed = store.sessions(Some(&account), at(1), 10).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].id, token.hash().id());
    assert_eq!(
        (listed[0].created_at, listed[0].expires_at),
        (at(0), at(100))
    );
    assert_eq!(store.sessions(None, at(1), 10).await.unwrap().len(), 2);
    assert_eq!(store.sessions(None, at(100), 10).await.unwrap(), []);

    let revoke = async |account, now| store.revoke_sessions(account, now, 10).await.unwrap();
    assert_eq!(revoke(Some(&account), at(2)).await, 1);
    assert_eq!(revoke(Some(&account), at(3)).await, 0);
    assert_eq!(account_of(db, token.hash(), at(3)).await, None);
    let left = store.sessions(None, at(3), 10).await.unwrap();
    assert_eq!((left.len(), &left[0].account_id), (1, &other));

    assert_eq!(store.count_ended_sessions(at(3)).await.unwrap(), 1);
    assert_eq!(store.purge_sessions(at(3), 10).await.unwrap(), 1);
    assert_eq!(store.count_ended_sessions(at(100)).await.unwrap(), 1);
    assert_eq!(revoke(None, at(4)).await, 1);
    assert_eq!(store.purge_sessions(at(100), 10).await.unwrap(), 1);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_revoked_within_the_limit_until_none_is_left(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let db = &StoreUnderTest::migrated(database).await;
    let (other, _) = create_session(db, "other").await;
    let mut tokens = Vec::new();
    for _ in 0..4 {
        tokens.push(create_session(db, "acct").await.0);
    }
    let account = AccountId::parse("acct").unwrap();
    let revoke = async || {
        let revoked = db.store.revoke_sessions(Some(&account), at(1), 2).await;
        revoked.unwrap()
    };
    assert_eq!(revoke().await, 2);
    let left = db.store.sessions(Some(&account), at(1), 10).await.unwrap();
    assert_eq!(left.len(), 2);
    tokens.push(create_session(db, "acct").await.0); // signs in meanwhile
    for expected in [2, 1, 0] {
        assert_eq!(revoke().await, expected);
    }
    for token in tokens {
        assert_eq!(account_of(db, token.hash(), at(1)).await, None);
    }
    assert!(account_of(db, other.hash(), at(1)).await.is_some());
}
