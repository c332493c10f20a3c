//! Sessions: creation, expiry and revocation.

use std::time::Duration;

use rstest::rstest;
use shared::ids::AccountId;
use shared::session::SessionToken;
use tests::stores::Database::{self, Postgres, Sqlite};
use tests::stores::{StoreUnderTest, at};

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
        let found = async |now| db.store.session_account(&token.hash(), now).await.unwrap();
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
    let found = async |token: SessionToken| {
        let found = db.store.session_account(&token.hash(), at(1)).await;
        found.unwrap()
    };
    assert_eq!(found(revoked).await, None);
    assert_eq!(found(other).await, Some(account));
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_session_belongs_to_no_account(#[values(Postgres, Sqlite)] database: Database) {
    let db = &StoreUnderTest::migrated(database).await;
    create_session(db, "acct").await;
    let unknown = SessionToken::generate().unwrap().hash();
    let found = db.store.session_account(&unknown, at(1)).await.unwrap();
    assert_eq!(found, None);
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
    let found = db
        .store
        .session_account(&token.hash(), at(1))
        .await
        .unwrap();
    assert_eq!(found, Some(account));
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

    assert_eq!(
        store.revoke_sessions(Some(&account), at(2)).await.unwrap(),
        1
    );
    assert_eq!(
        store.revoke_sessions(Some(&account), at(3)).await.unwrap(),
        0
    );
    let found = store.session_account(&token.hash(), at(3)).await.unwrap();
    assert_eq!(found, None);
    let left = store.sessions(None, at(3), 10).await.unwrap();
    assert_eq!((left.len(), &left[0].account_id), (1, &other));

    assert_eq!(store.count_ended_sessions(at(3)).await.unwrap(), 1);
    assert_eq!(store.purge_sessions(at(3), 10).await.unwrap(), 1);
    assert_eq!(store.count_ended_sessions(at(100)).await.unwrap(), 1);
    assert_eq!(store.revoke_sessions(None, at(4)).await.unwrap(), 1);
    assert_eq!(store.purge_sessions(at(100), 10).await.unwrap(), 1);
}
