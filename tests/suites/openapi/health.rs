//! `/healthz` and `/readyz`: alive, and what is missing.

use std::time::Duration;

use serde_json::{Value, json};
use tests::{Deployment, Kind, Plan, PrivatePostgres, TestDatabase, eventually};

const SOON: Duration = Duration::from_secs(15);

tests::in_both_deployments! { a_deployment_that_has_all_it_needs_is_alive_and_ready }

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

async fn a_deployment_that_has_all_it_needs_is_alive_and_ready(kind: Kind) {
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
async fn an_unmigrated_database_is_unavailable_for_want_of_its_schema() {
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
