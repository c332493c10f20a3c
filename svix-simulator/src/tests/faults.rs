//! Each fault, as the SDK sees it.

use std::sync::Arc;
use std::time::Duration;

use svix::error::Error;
use tokio::task::JoinSet;

use super::{client, client_with_timeout, error_of, get_or_create, invalid_field, start};
use crate::{Fault, Pattern, Route};

#[tokio::test]
async fn faults_apply_in_the_order_they_were_set_and_then_end() {
    let simulator = start().await;
    let svix = client(&simulator);
    simulator
        .fault(Pattern::create(), Fault::Status(503))
        .times(2);
    simulator
        .fault(Pattern::create(), Fault::RateLimited)
        .times(1);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(error_of(get_or_create(&svix, "acct_1").await).0);
    }
    assert_eq!(statuses, [503, 503, 429]);
    assert_eq!(simulator.applications(), []);
    get_or_create(&svix, "acct_1").await.unwrap();
}

#[tokio::test]
async fn a_fault_can_apply_to_one_application_or_one_route_until_cleared() {
    let simulator = start().await;
    let svix = client(&simulator);
    let id = get_or_create(&svix, "acct_1").await.unwrap().id;
    let one = Pattern::any().uid("acct_1");
    simulator.fault(one, Fault::Status(500)).until_cleared();
    assert_eq!(error_of(get_or_create(&svix, "acct_1").await).0, 500);
    assert_eq!(error_of(svix.application().get(id.clone()).await).0, 500);
    get_or_create(&svix, "acct_2").await.unwrap();
    simulator.clear_faults();
    simulator
        .fault(Pattern::portal(), Fault::Status(500))
        .until_cleared();
    svix.application().get(id).await.unwrap();
}

#[tokio::test]
async fn a_fault_can_apply_for_a_limited_time() {
    let simulator = start().await;
    let svix = client(&simulator);
    let get = Pattern::get();
    simulator
        .fault(get.clone(), Fault::Status(502))
        .lasting(Duration::ZERO);
    simulator
        .fault(get, Fault::Status(504))
        .lasting(Duration::from_mins(10));
    let error = error_of(svix.application().get("acct_1".to_owned()).await);
    assert_eq!(error, (504, "server_error".to_owned()));
}

#[tokio::test]
async fn the_sdk_can_read_the_body_of_every_status() {
    let simulator = start().await;
    let svix = client(&simulator);
    for (status, code) in [
        (400, "generic_error"),
        (401, "authentication_failed"),
        (403, "insufficient_access"),
        (404, "not_found"),
        (409, "conflict"),
        (429, "rate_limited"),
        (500, "server_error"),
    ] {
        simulator
            .fault(Pattern::any(), Fault::Status(status))
            .times(1);
        let error = error_of(get_or_create(&svix, "acct_1").await);
        assert_eq!(error, (status, code.to_owned()));
    }
    simulator.fault(Pattern::any(), Fault::Status(422)).times(1);
    assert_eq!(invalid_field(get_or_create(&svix, "acct_1").await), "body");
}

#[tokio::test]
async fn an_error_status_can_be_sent_after_the_operation_ran() {
    let simulator = start().await;
    let svix = client(&simulator);
    let fault = simulator.fault(Pattern::create(), Fault::Status(500));
    fault.work_done().times(1);
    assert_eq!(error_of(get_or_create(&svix, "acct_1").await).0, 500);
    let application = get_or_create(&svix, "acct_1").await.unwrap();
    assert_eq!(application.id, simulator.applications()[0].id);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_race_one_creation_succeeds_and_the_others_get_a_conflict() {
    let simulator = start().await;
    simulator.fault(Pattern::any(), Fault::Race).until_cleared();
    let svix = Arc::new(client(&simulator));
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        let svix = svix.clone();
        calls.spawn(async move { get_or_create(&svix, "acct_1").await });
    }
    let (created, refused): (Vec<_>, Vec<_>) =
        calls.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!(created.len(), 1);
    assert!(refused.into_iter().all(|result| error_of(result).0 == 409));
    svix.application().get("acct_1".to_owned()).await.unwrap();
}

#[tokio::test]
async fn the_application_exists_if_the_response_comes_after_the_clients_timeout() {
    let simulator = start().await;
    let slow = Fault::Latency(Duration::from_mins(10));
    simulator.fault(Pattern::create(), slow).times(1);
    let impatient = client_with_timeout(simulator.url(), Duration::from_millis(200));
    let timed_out = get_or_create(&impatient, "acct_1").await;
    assert!(matches!(timed_out, Err(Error::Timeout { .. })));
    assert_eq!(simulator.applications().len(), 1);
}

#[tokio::test]
async fn latency_delays_the_response() {
    let simulator = start().await;
    let slow = Fault::Latency(Duration::from_millis(100));
    simulator.fault(Pattern::create(), slow).times(1);
    let before = std::time::Instant::now();
    get_or_create(&client(&simulator), "acct_1").await.unwrap();
    assert!(before.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn a_request_that_hangs_times_out_and_creates_nothing() {
    let simulator = start().await;
    simulator.fault(Pattern::create(), Fault::Hang).times(1);
    let impatient = client_with_timeout(simulator.url(), Duration::from_millis(200));
    let timed_out = get_or_create(&impatient, "acct_1").await;
    assert!(matches!(timed_out, Err(Error::Timeout { .. })));
    assert_eq!(simulator.calls(Route::Create), 1);
    assert_eq!(simulator.applications(), []);
}

#[tokio::test]
async fn a_reset_is_a_connection_error_on_new_and_reused_connections() {
    let simulator = start().await;
    for warm in [false, true] {
        let svix = client(&simulator);
        if warm {
            get_or_create(&svix, "acct_2").await.unwrap();
        }
        simulator.fault(Pattern::create(), Fault::Reset).times(1);
        let Err(Error::Generic(message)) = get_or_create(&svix, "acct_1").await else {
            panic!("the SDK must report the connection reset as a generic error");
        };
        assert!(message.contains("ConnectionReset"), "{message}");
        assert_eq!(
            simulator.calls(Pattern::create().uid("acct_1")),
            1 + u64::from(warm)
        );
    }
    assert_eq!(simulator.applications().len(), 1);
    get_or_create(&client(&simulator), "acct_1").await.unwrap();
}

#[tokio::test]
async fn a_truncated_body_is_a_transport_error_and_the_operation_ran() {
    let simulator = start().await;
    simulator
        .fault(Pattern::create(), Fault::TruncatedBody)
        .times(2);
    let Err(Error::Generic(message)) = get_or_create(&client(&simulator), "acct_1").await else {
        panic!("the SDK must report the truncated body as a generic error");
    };
    assert!(message.contains("UnexpectedEof"), "{message}");
    assert_eq!(simulator.applications().len(), 1);

    // Half of the body arrives. The Content-Length is that of the whole body.
    let request = reqwest::Client::new()
        .post(format!("{}/api/v1/app?get_if_exists=true", simulator.url()))
        .bearer_auth("any")
        .body(r#"{"name": "Acme", "uid": "acct_1"}"#);
    let mut response = request.send().await.unwrap();
    let promised = response.content_length().unwrap();
    let half = response.chunk().await.unwrap().unwrap();
    assert_eq!(half.len() as u64, promised / 2);
    assert!(response.chunk().await.is_err());
}

#[tokio::test]
async fn an_html_page_instead_of_json_is_an_error() {
    let simulator = start().await;
    simulator.fault(Pattern::create(), Fault::NotJson).times(1);
    let result = get_or_create(&client(&simulator), "acct_1").await;
    assert!(matches!(result, Err(Error::Generic(_))));
    assert_eq!(simulator.applications(), []);
}

#[tokio::test]
async fn a_huge_body_is_valid_json_of_the_given_length() {
    let simulator = start().await;
    simulator
        .fault(Pattern::get(), Fault::HugeBody(10_000_000))
        .times(2);
    let result = client(&simulator)
        .application()
        .get("acct_1".to_owned())
        .await;
    assert!(matches!(result, Err(Error::Generic(_))));

    let url = format!("{}/api/v1/app/acct_1", simulator.url());
    let body = reqwest::get(url).await.unwrap().bytes().await.unwrap();
    assert_eq!(body.len(), 10_000_000);
    serde_json::from_slice::<serde_json::Value>(&body).unwrap();
}
