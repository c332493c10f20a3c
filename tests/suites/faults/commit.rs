//! Which commits wait until they would survive a crash of PostgreSQL, and which do not. While a
//! synchronous standby is missing, a commit that waits never ends.

use std::time::Duration;

use shared::store::Store;
use tests::PrivatePostgres;
use tests::stores::{at, caller, job, new_key};
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_creation_waits_until_it_survives_a_crash_and_a_claim_does_not() {
    let mut postgres = PrivatePostgres::start().await;
    let database = postgres.migrated().await;
    let key = new_key("account", at(0));
    let created = database.store().insert_key(&key, &caller()).await;
    assert!(created.unwrap());
    postgres
        .execute("ALTER SYSTEM SET synchronous_standby_names = 'missing'")
        .await;
    postgres.restart().await; // unlike after a reload, the setting is in effect then

    let store = database.store();
    let claim = store.claim(job(key.id, 0), at(0), at(60)).await.unwrap();
    assert_eq!(claim.unwrap().attempt, 1);
    let (other, origin) = (new_key("other", at(0)), caller());
    let created = timeout(Duration::from_secs(1), store.insert_key(&other, &origin)).await;
    assert!(created.is_err(), "{created:?}");
}
