//! Svix fails, the partner does not notice, and it heals by itself.

use std::time::Duration;

use rstest::rstest;
use svix_simulator::{Fault, Pattern, Route};
use tests::Kind::{self, Embedded, Production};
use tests::{Deployment, eventually};

#[rstest]
#[tokio::test]
async fn an_outage_of_svix_heals_by_itself(#[values(Production, Embedded)] kind: Kind) {
    let deployment = Deployment::start(kind).await;
    let session = deployment.session().await;
    deployment
        .svix
        .fault(Pattern::any(), Fault::Status(500))
        .until_cleared();

    let key = deployment.client.create(&session).await;
    assert_eq!(key.status, 201, "whatever Svix does");
    let key = key.text("api_key");
    let failing = || async { deployment.client.show(&session).await.body };
    let shown = eventually("three attempts", Duration::from_secs(20), failing, |key| {
        key["webhook"]["attempts"].as_i64() >= Some(3)
    });
    let shown = shown.await;
    assert_eq!(shown["has_webhook"], false);
    assert_eq!(shown["webhook"]["state"], "setting_up");
    assert!(
        !shown.to_string().contains("500"),
        "nothing of the inside is shown"
    );
    let portal = deployment.client.portal(&key).await;
    portal.is_error(404, "not_found");
    assert!(portal.header("retry-after").is_some());

    deployment.svix.clear_faults();
    deployment
        .provisioned(&session, Duration::from_secs(30))
        .await;
    assert_eq!(deployment.client.portal(&key).await.status, 200);
    assert_eq!(deployment.svix.applications().len(), 1);
}

/// The answer comes while the call to Svix hangs, so it cannot have waited for it.
#[tokio::test]
async fn a_mint_is_answered_while_svix_hangs() {
    let deployment = Deployment::start(Production).await;
    let session = deployment.session().await;
    deployment
        .svix
        .fault(Pattern::any(), Fault::Hang)
        .until_cleared();
    assert_eq!(deployment.client.create(&session).await.status, 201);
    deployment.svix.wait_for_calls(Route::Create, 1).await;
    assert_eq!(
        deployment.client.show(&session).await.body["has_webhook"],
        false
    );
}

#[tokio::test]
async fn two_workers_share_the_work_and_repeat_none_of_it() {
    let deployment = Deployment::production(2).await;
    deployment
        .svix
        .fault(
            Pattern::create(),
            Fault::Latency(Duration::from_millis(100)),
        )
        .until_cleared();
    for session in deployment.sessions(400).await {
        assert_eq!(deployment.client.create(&session).await.status, 201);
    }
    deployment.all_provisioned(Duration::from_mins(1)).await;

    assert_eq!(deployment.svix.applications().len(), 400);
    assert_eq!(
        deployment.svix.calls(Route::Create),
        400,
        "each attempt once"
    );
    for worker in &deployment.in_production().workers {
        assert!(worker.log().contains("provisioned"), "both had a share");
    }
}
