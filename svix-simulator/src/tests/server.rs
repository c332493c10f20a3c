//! The server itself: its life, its data file, TLS, and control over HTTP.

use std::fs;

use serde_json::{Value, json};
use svix::error::Error;
use tokio::time::timeout;

use super::{DEADLINE, client, get_or_create, refusal, start};
use crate::{Fault, Options, Pattern, Route, Simulator, SimulatorError};

#[tokio::test]
async fn applications_survive_a_restart_at_the_same_address() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("made on demand/svix.json");
    let mut options = Options {
        data: Some(file.clone()),
        ..Options::default()
    };
    let simulator = Simulator::start(options.clone()).await.unwrap();
    options.listen = simulator.address();
    let svix = client(&simulator);
    let created = get_or_create(&svix, "acct_1").await.unwrap();
    let kept = simulator.applications();
    simulator.stop().await;
    let refused = get_or_create(&svix, "acct_1").await;
    assert!(matches!(refused, Err(Error::Generic(_))));

    let simulator = Simulator::start(options).await.unwrap();
    assert_eq!(simulator.applications(), kept);
    assert_eq!(get_or_create(&svix, "acct_1").await.unwrap(), created);
    assert_eq!(simulator.applications(), kept);
    let files = fs::read_dir(file.parent().unwrap()).unwrap();
    assert_eq!(files.count(), 1, "a file half written is left");
}

#[tokio::test]
async fn a_create_that_cannot_be_kept_is_a_500_and_nothing_is_created() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data/svix.json");
    let options = Options {
        data: Some(file.clone()),
        ..Options::default()
    };
    let simulator = Simulator::start(options).await.unwrap();
    let svix = client(&simulator);
    fs::remove_dir(file.parent().unwrap()).unwrap();
    assert_eq!(refusal(get_or_create(&svix, "acct_1").await).0, 500);
    assert_eq!(simulator.applications(), []);
    fs::create_dir(file.parent().unwrap()).unwrap();
    get_or_create(&svix, "acct_1").await.unwrap();
}

#[tokio::test]
async fn a_data_file_that_is_not_ours_and_a_port_in_use_are_said_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("svix.json");
    fs::write(&file, "not json").unwrap();
    let started = Simulator::start(Options {
        data: Some(file),
        ..Options::default()
    });
    assert!(matches!(started.await, Err(SimulatorError::Data { .. })));

    let first = start().await;
    let started = Simulator::start(Options {
        listen: first.address(),
        ..Options::default()
    });
    assert!(matches!(started.await, Err(SimulatorError::Listen { .. })));
}

#[tokio::test]
async fn stopping_cuts_a_hanging_call() {
    let simulator = start().await;
    simulator.fault(Pattern::any(), Fault::Hang).until_cleared();
    let svix = client(&simulator);
    let call = tokio::spawn(async move { get_or_create(&svix, "acct_1").await });
    timeout(DEADLINE, simulator.wait_for_calls(Route::Create, 1))
        .await
        .unwrap();
    timeout(DEADLINE, simulator.stop()).await.unwrap();
    assert!(matches!(call.await.unwrap(), Err(Error::Generic(_))));
}

#[tokio::test]
async fn faults_and_state_are_reached_over_http() {
    let simulator = start().await;
    let http = reqwest::Client::new();
    let faults = format!("{}/_simulator/faults", simulator.url());
    let put = async |body: &Value| {
        let request = http.put(&faults).body(body.to_string());
        request.send().await.unwrap().status().as_u16()
    };
    let state = async || {
        let url = format!("{}/_simulator/state", simulator.url());
        let answer = http.get(url).send().await.unwrap();
        answer.json::<Value>().await.unwrap()
    };
    let wanted = json!([
        {"route": "create", "uid": "acct_1", "fault": {"status": 503}, "times": 1},
        {"route": "expire_all", "fault": {"latency_ms": 5}, "work_done": true},
        {"fault": "race", "for_ms": 0},
    ]);
    assert_eq!(put(&wanted).await, 204);
    let svix = client(&simulator);
    assert_eq!(refusal(get_or_create(&svix, "acct_1").await).0, 503);
    let id = get_or_create(&svix, "acct_1").await.unwrap().id;

    let seen = state().await;
    assert_eq!(seen["applications"][0]["id"], id);
    assert_eq!(seen["calls"]["create"], 2);
    assert_eq!(seen["calls_by_uid"]["acct_1"], 2);
    assert_eq!(seen["faults"].as_array().unwrap().len(), 1);
    assert_eq!(seen["faults"][0]["fault"], json!({"latency_ms": 5}));
    // What is shown can be put back.
    assert_eq!(put(&seen["faults"]).await, 204);
    for wrong in [
        json!([{"fault": "none such"}]),
        json!([{"fault": "hang", "tmies": 1}]),
        json!([{"fault": {"status": 9}}]),
    ] {
        assert_eq!(put(&wrong).await, 400, "{wrong}");
    }
    let deleted = http.delete(&faults).send().await.unwrap();
    assert_eq!(deleted.status().as_u16(), 204);
    assert_eq!(state().await["faults"], json!([]));
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_said_at_start() {
    let started = Simulator::start_tls(Options::default(), "no", "no").await;
    assert!(matches!(started, Err(SimulatorError::Tls(_))));
}
