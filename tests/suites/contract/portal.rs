//! The key is exchanged for a portal link, or not: what Svix says decides.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use rstest::rstest;
use svix_simulator::{Fault, Pattern, Route};
use tests::Kind::{self, Embedded, Production};
use tests::client::PORTAL_PATH;
use tests::{Deployment, Metrics, Plan, eventually};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{SOON, members, ready_key, retry_after};

/// Enough for the first few retries of a provisioning that failed.
const HEALED: Duration = Duration::from_secs(30);

#[rstest]
#[tokio::test]
async fn the_portal_says_when_to_come_back_until_the_webhooks_are_set_up(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = Deployment::start(kind).await;
    let client = &deployment.client;
    deployment
        .svix
        .fault(Pattern::create(), Fault::Status(503))
        .until_cleared();
    let session = deployment.session().await;
    let key = client.create(&session).await.text("api_key");
    tokio::time::timeout(SOON, deployment.svix.wait_for_calls(Route::Create, 1))
        .await
        .unwrap();

    let early = client.portal(&key).await;
    early.is_error(404, "not_found");
    assert!(early.text.contains("being set up"), "{early:?}");
    assert!(
        retry_after(&early).is_some_and(|seconds| seconds >= 1),
        "{early:?}"
    );
    assert_eq!(
        client.show(&session).await.body["webhook"]["state"],
        "setting_up"
    );
    assert_eq!(deployment.svix.calls(Route::Portal), 0);

    deployment.svix.clear_faults();
    deployment.provisioned(&session, HEALED).await;
    let opened = client.portal(&key).await;
    assert_eq!(opened.status, 200);
    assert_eq!(members(&opened.body), HashSet::from(["url"]));
    let next = client.portal(&key).await;
    assert_ne!(opened.text("url"), next.text("url"), "each link is fresh");
}

#[rstest]
#[tokio::test]
async fn after_a_dead_letter_nothing_promises_that_waiting_helps(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = Deployment::start(kind).await;
    let client = &deployment.client;
    deployment
        .svix
        .fault(Pattern::create(), Fault::Status(422))
        .until_cleared();
    let session = deployment.session().await;
    let key = client.create(&session).await.text("api_key");
    let shown = || async { client.show(&session).await.body };
    let given_up = eventually("given up", SOON, shown, |shown| {
        shown["webhook"]["state"] == "needs_attention"
    });
    assert_eq!(given_up.await["has_webhook"], false);

    let refused = client.portal(&key).await;
    refused.is_error(404, "not_found");
    assert_eq!(retry_after(&refused), None);

    deployment.svix.clear_faults();
    client.revoke(&session).await;
    let anew = client.create(&session).await.text("api_key");
    deployment.provisioned(&session, SOON).await;
    assert_eq!(client.portal(&anew).await.status, 200);
}

#[rstest]
#[tokio::test]
async fn what_svix_answers_decides_what_the_portal_answers(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = Deployment::start(kind).await;
    let client = &deployment.client;
    let (session, key) = ready_key(&deployment).await;
    let (failed, slow) = ((502, "bad_gateway"), (504, "gateway_timeout"));
    let table = [
        (Fault::Status(500), failed),
        (Fault::Status(503), failed),
        (Fault::Status(401), failed),
        (Fault::Status(403), failed),
        (Fault::Status(422), failed),
        (Fault::RateLimited, failed),
        (Fault::Reset, failed),
        (Fault::TruncatedBody, failed),
        (Fault::NotJson, failed),
        (Fault::HugeBody(1 << 20), failed),
        (Fault::Hang, slow),
        (Fault::Latency(Duration::from_secs(30)), slow),
    ];
    for (fault, (status, code)) in table {
        deployment
            .svix
            .fault(Pattern::portal(), fault.clone())
            .until_cleared();
        let started = Instant::now();
        let answer = client.portal(&key).await;
        answer.is_error(status, code);
        // The call has a time limit of 5 s, and the slowest fault takes 30 s.
        assert!(started.elapsed() < Duration::from_secs(25), "{fault:?}");
        let names_svix =
            [deployment.svix.url().as_str(), "app_", "HTTP"].map(|text| answer.text.contains(text));
        assert_eq!(names_svix, [false; 3], "{fault:?}: {answer:?}");
        deployment.svix.clear_faults();
        assert_eq!(client.portal(&key).await.status, 200, "after {fault:?}");
    }
    assert_eq!(client.show(&session).await.body["has_webhook"], true);

    deployment.svix.stop().await;
    client.portal(&key).await.is_error(502, "bad_gateway");
    let log = deployment.server.log();
    assert!(
        log.contains("Svix refuses our calls"),
        "the 401 raised the alarm: {log}"
    );
}

#[rstest]
#[tokio::test]
async fn an_application_deleted_behind_our_back_is_made_again(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = Deployment::start(kind).await;
    let client = &deployment.client;
    let (session, key) = ready_key(&deployment).await;
    let creations = deployment.svix.calls(Route::Create);
    deployment
        .svix
        .fault(Pattern::portal(), Fault::Status(404))
        .times(1);
    deployment
        .svix
        .fault(Pattern::create(), Fault::Status(503))
        .until_cleared();

    for _ in 0..2 {
        let gone = client.portal(&key).await;
        gone.is_error(404, "not_found");
        assert!(
            retry_after(&gone).is_some_and(|seconds| seconds >= 1),
            "{gone:?}"
        );
    }
    assert_eq!(client.show(&session).await.body["has_webhook"], false);

    deployment.svix.clear_faults();
    deployment.provisioned(&session, HEALED).await;
    assert!(deployment.svix.calls(Route::Create) > creations);
    assert_eq!(client.portal(&key).await.status, 200);
}

/// Otherwise an outage would be invisible behind a proxy with a short timeout.
#[tokio::test]
async fn a_request_whose_client_gives_up_is_logged_and_measured() {
    const ID: &str = "0d9f6a52-7d3c-4b8e-9a51-2f1c6e7b8d90";
    let mut deployment = Deployment::planned(Plan {
        workers: 1,
        env: vec![("ADMIN_ADDR", "127.0.0.1:0".to_owned())],
        ..Plan::default()
    })
    .await;
    let (_, key) = ready_key(&deployment).await;
    let slow = Fault::Latency(Duration::from_secs(4));
    deployment
        .svix
        .fault(Pattern::portal(), slow)
        .until_cleared();
    let address = deployment.client.base().strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET {PORTAL_PATH} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\
         x-request-id: {ID}\r\n\r\n"
    );
    connection.write_all(request.as_bytes()).await.unwrap();
    deployment.svix.wait_for_calls(Route::Portal, 1).await;
    drop(connection);
    let line = deployment.server.logged("the client has gone").await;
    assert!(
        line.contains(ID) && line.contains("\"status\":499"),
        "{line}"
    );
    let admin = deployment.server.admin_url().await;
    let name = "http_server_request_duration_seconds_count";
    Metrics::eventually("it is measured", &admin, |metrics| {
        let is_it = |series: &&str| series.starts_with(name) && series.contains("\"499\"");
        metrics.series().iter().any(is_it)
    })
    .await;
}
