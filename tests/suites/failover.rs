//! A primary with a synchronous standby behind HAProxy. The primary is killed under load and the
//! standby promoted.

mod cluster;

use std::time::Duration;

use futures_util::{StreamExt, stream};
use shared::config::Pooler;
use shared::store::Store;
use tests::load::Mint;
use tests::postgres::store_at;
use tests::{Answer, Deployment, Load, Plan, PrivatePostgres, TestDatabase, eventually, report};
use tokio::time::Instant;

use self::cluster::Cluster;
use crate::faults::postgres::{nothing_is_lost, wait_for_more_answers};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn nothing_is_lost_when_the_primary_dies() {
    let mut cluster = Cluster::start().await;
    let database = TestDatabase::at(cluster.url())
        .with_schema_and_users()
        .await;
    a_standby_is_refused(&cluster.standby).await;
    let deployment = Deployment::planned(Plan {
        database: Some(database),
        workers: 1,
        ..Plan::default()
    })
    .await;

    let (mut killed, mut promoted) = (None, None);
    let failover = async |load: &Load| {
        cluster.primary.kill().await;
        killed = Some(Instant::now());
        load.answers(20).await;
        cluster.standby.promote().await;
        promoted = Some(Instant::now());
        wait_for_the_primary(&cluster).await;
        wait_for_more_answers(load).await;
    };
    let (deployment, mints) = nothing_is_lost("failed over", deployment, failover).await;
    let created = mints.iter().filter(|mint| mint.answer.status == 201);
    let created: Vec<&Mint> = created.collect();
    every_key_works(&deployment, &created).await;

    let (killed, promoted) = (killed.unwrap(), promoted.unwrap());
    let answered = created.iter().map(|mint| mint.sent + mint.took);
    let first = answered.filter(|at| *at > promoted).min().unwrap();
    report(&format!(
        "failover: {} of {} creations were answered 201, and all these keys work; the others 503; \
         keys were created again {} ms after the primary was killed, {} ms after the promotion",
        created.len(),
        mints.len(),
        (first - killed).as_millis(),
        (first - promoted).as_millis(),
    ));
}

#[tokio::test]
async fn a_server_that_takes_no_writes_gives_503_until_it_does() {
    let server = PrivatePostgres::start().await;
    let deployment = Deployment::planned(Plan {
        database: Some(server.migrated().await),
        ..Plan::default()
    })
    .await;
    let client = &deployment.client;
    let (held, new) = (deployment.session().await, deployment.session().await);
    assert_eq!(client.create(&held).await.status, 201);

    server
        .execute("ALTER SYSTEM SET default_transaction_read_only = on")
        .await;
    server.execute("SELECT pg_reload_conf()").await;
    // Each session of the server reads the setting at its next statement.
    let revoke = || async { client.revoke(&held).await };
    let create = || async { client.create(&new).await };
    let refused = |answer: &Answer| answer.status == 503;
    let revoked = eventually("revocations are refused", SOON, revoke, refused).await;
    let created = eventually("creations are refused", SOON, create, refused).await;
    revoked.is_error(503, "unavailable");
    created.is_error(503, "unavailable");
    assert_eq!(client.show(&held).await.status, 200, "reads work");

    server
        .execute("ALTER SYSTEM RESET default_transaction_read_only")
        .await;
    server.execute("SELECT pg_reload_conf()").await;
    let works = |answer: &Answer| answer.status != 503;
    eventually("creations work again", SOON, create, works).await;
    eventually("revocations work again", SOON, revoke, works).await;
    assert_eq!(client.show(&new).await.body["has_key"], true);
    assert_eq!(client.show(&held).await.body["has_key"], false);
}

/// A standby can be behind, and would accept a key that was revoked.
async fn a_standby_is_refused(standby: &PrivatePostgres) {
    for pooler in [Pooler::None, Pooler::Transaction] {
        let ping = store_at(&standby.url(), pooler).ping().await;
        let error = ping.expect_err("the standby was used");
        assert!(error.is_transient(), "{pooler:?}: {error}");
    }
}

async fn wait_for_the_primary(cluster: &Cluster) {
    let url = cluster.url();
    let look = || async { PrivatePostgres::is_primary(&url).await };
    eventually("HAProxy leads to the new primary", SOON, look, |is| *is).await;
}

async fn every_key_works(deployment: &Deployment, mints: &[&Mint]) {
    let portals = stream::iter(mints).map(async |mint| {
        let key = mint.answer.text("api_key");
        deployment.client.portal(&key).await.status
    });
    let statuses: Vec<_> = portals.buffer_unordered(16).collect().await;
    for status in statuses {
        assert_eq!(status, 200);
    }
}
