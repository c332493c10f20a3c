//! The probes `/healthz` and `/readyz`.

use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};
use tests::Kind::{self, Embedded, Production};
use tests::{Deployment, Plan, PrivatePostgres, TestDatabase, eventually};

const SOON: Duration = Duration::from_secs(15);

/// Waits until `/readyz` answers this. `/healthz` must answer 200 all the same.
async fn becomes(deployment: &Deployment, status: u16, body: Value) {
    let expected = (status, body);
    let look = || deployment.probe("/readyz");
    eventually(&format!("{expected:?}"), SOON, look, |seen| {
        *seen == expected
    })
    .await;
    let alive = deployment.probe("/healthz").await;
    assert_eq!(alive, (200, json!({"status": "ok"})));
}

#[rstest]
#[tokio::test]
async fn a_complete_deployment_is_alive_and_ready(#[values(Production, Embedded)] kind: Kind) {
    let deployment = Deployment::start(kind).await;
    let ready = deployment.probe("/readyz").await;
    assert_eq!(ready, (200, json!({"status": "ready", "missing": []})));
    assert_eq!(deployment.probe("/healthz").await.0, 200);
}

#[tokio::test]
async fn without_redis_it_is_degraded_and_without_postgres_unavailable() {
    let mut postgres = PrivatePostgres::start().await;
    let database = Some(postgres.migrated().await);
    let mut deployment = Deployment::planned(Plan {
        database,
        ..Plan::default()
    })
    .await;
    let ready = json!({"status": "ready", "missing": []});
    becomes(&deployment, 200, ready.clone()).await;

    deployment.in_production_mut().redis.kill().await;
    becomes(
        &deployment,
        200,
        json!({"status": "degraded", "missing": ["queue"]}),
    )
    .await;

    postgres.kill().await;
    let both = json!({"status": "unavailable", "missing": ["database", "queue"]});
    becomes(&deployment, 503, both).await;

    deployment.in_production_mut().redis.restart().await;
    becomes(
        &deployment,
        503,
        json!({"status": "unavailable", "missing": ["database"]}),
    )
    .await;

    postgres.restart().await;
    becomes(&deployment, 200, ready).await;
}

#[tokio::test]
async fn without_its_schema_the_service_is_unavailable() {
    let database = Some(TestDatabase::create().await);
    let deployment = Deployment::planned(Plan {
        database,
        ..Plan::default()
    })
    .await;
    becomes(
        &deployment,
        503,
        json!({"status": "unavailable", "missing": ["schema"]}),
    )
    .await;

    deployment.store.migrate().await.unwrap();
    becomes(&deployment, 200, json!({"status": "ready", "missing": []})).await;
}
