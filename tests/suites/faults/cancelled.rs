//! Calls that are cancelled while PostgreSQL works on them, as when a client has gone or a time
//! limit has passed. What they leave undone must not be part of the next call.

use std::time::Duration;

use rstest::rstest;
use shared::config::Pooler::{self, Transaction};
use shared::store::{PostgresStore, Store};
use tests::postgres::store_with;
use tests::stores::{at, caller, new_key};
use tests::wire::Traffic;
use tests::{Role, TestDatabase, Wire, eventually};

/// The deadline for steps whose duration is not tested.
const SOON: Duration = Duration::from_secs(20);

/// Returns a new database with a wire, and a store that uses it over at most so many connections.
async fn wired(pooler: Pooler, max_connections: u32) -> (TestDatabase, Wire, PostgresStore) {
    let database = TestDatabase::migrated().await;
    let wire = Wire::start(&database).await;
    let database = database.through(Role::Api, wire.port());
    let store = store_with(&database.url_for(Role::Api), pooler, max_connections);
    (database, wire, store)
}

/// Waits until a connection is in the pool, where the next call finds it.
async fn is_idle(store: &PostgresStore) {
    let idle = async || store.pool_use().idle;
    eventually("a connection is in the pool", SOON, idle, |idle| *idle == 1).await;
}

#[rstest]
#[tokio::test]
async fn what_follows_a_cancelled_transaction_is_no_part_of_it(
    #[values(Pooler::None, Transaction)] pooler: Pooler,
) {
    // One is kept for creations, so that the calls below share the other.
    let (database, wire, store) = wired(pooler, 2).await;
    let key = new_key("account", at(0));
    assert!(store.insert_key(&key, &caller()).await.unwrap());
    let origin = caller();
    let cancelled = async || {
        store.ping().await.unwrap(); // so that the connection is not tested again
        is_idle(&store).await;
        wire.forget();
        wire.slow_down(Duration::from_secs(1));
        let unanswered = async || wire.unanswered();
        tokio::select! {
            revoked = store.revoke_keys(&key.account_id, at(1), &origin) => panic!("{revoked:?}"),
            _ = eventually("a request is sent", SOON, unanswered, |count| *count == 1) => {}
        }
        wire.slow_down(Duration::ZERO);
        is_idle(&store).await;
        wire.traffic()
    };
    // On a busy machine it may be another request than BEGIN.
    let in_begin = |traffic: &Traffic| {
        let mut executed = traffic.executed();
        let is_begun = executed.next().is_some_and(|first| first.contains("BEGIN"));
        is_begun && executed.next().is_none_or(|next| next == "ROLLBACK")
    };
    let traffic = eventually("BEGIN is cancelled", SOON, cancelled, in_begin).await;

    assert!(
        store
            .record_portal_opened(key.id, at(2), &origin)
            .await
            .unwrap()
    );
    let pool = database.pool().await;
    let events = sqlx::query_scalar("SELECT kind FROM api_key_events ORDER BY id");
    let events: Vec<String> = events.fetch_all(&pool).await.unwrap();
    assert_eq!(events, ["created", "portal_opened"], "all is committed");
    let open = "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    let open: i64 = sqlx::query_scalar(open).fetch_one(&pool).await.unwrap();
    assert_eq!(open, 0);
    assert_eq!(traffic.executed().nth(1), Some("ROLLBACK"));
}

/// A server that went away without a word takes no connection from those to its successor.
#[tokio::test]
async fn a_connection_that_is_silent_makes_room_for_another() {
    let (_database, wire, store) = wired(Pooler::None, 1).await;
    store.ping().await.unwrap();
    is_idle(&store).await;
    wire.slow_down(Duration::from_hours(1));
    store.ping().await.unwrap_err();
    wire.slow_down(Duration::ZERO);
    let works = async || store.ping().await.is_ok();
    eventually("another connection is used", SOON, works, |works| *works).await;
}
