//! Svix fails. Keys are created anyway, and their webhooks are set up automatically once
//! Svix works again.

use std::time::Duration;

use rstest::rstest;
use svix_simulator::{Fault, Pattern, Route};
use tests::Kind::{self, Embedded, Production};
use tests::{Deployment, eventually};

#[rstest]
#[tokio::test]
async fn webhooks_are_set_up_automatically_after_an_outage_of_svix(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = Deployment::start(kind).await;
    let session = deployment.session().await;
    deployment
        .svix
        .fault(Pattern::any(), Fault::Status(500))
        .until_cleared();

    let key = deployment.client.create(&session).await;
    assert_eq!(key.status, 201, "keys are created while Svix fails");
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
        "the internal error is not shown"
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

/// Checks that the answer arrives while the call to Svix hangs. So it cannot have waited
/// for that call.
#[tokio::test]
async fn a_creation_is_answered_while_svix_hangs() {
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
async fn two_workers_share_the_work_and_make_each_attempt_once() {
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
        "each attempt is made once"
    );
    for worker in &deployment.in_production().workers {
        assert!(
            worker.log().contains("provisioned"),
            "each worker processed some rows"
        );
    }
}
