//! Start and stop, the data file, TLS, and the HTTP interface to faults and state.

use std::fs;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use svix::error::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{DEADLINE, client, error_of, get_or_create, start};
use crate::{Fault, Options, Pattern, Route, Simulator, SimulatorError};

#[tokio::test]
async fn applications_survive_a_restart_at_the_same_address() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("new directory/svix.json");
    let mut options = Options {
        data: Some(file.clone()),
        ..Options::default()
    };
    let simulator = Simulator::start(options.clone()).await.unwrap();
    options.listen = simulator.address();
    let svix = client(&simulator);
    let created = get_or_create(&svix, "acct_1").await.unwrap();
    let before = simulator.applications();
    simulator.stop().await;
    let refused = get_or_create(&svix, "acct_1").await;
    assert!(matches!(refused, Err(Error::Generic(_))));

    let simulator = Simulator::start(options).await.unwrap();
    assert_eq!(simulator.applications(), before);
    assert_eq!(get_or_create(&svix, "acct_1").await.unwrap(), created);
    assert_eq!(simulator.applications(), before);
    let files = fs::read_dir(file.parent().unwrap()).unwrap();
    assert_eq!(files.count(), 1, "the temporary file was not removed");
}

#[tokio::test]
async fn a_creation_that_cannot_be_stored_gets_500_and_creates_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("data/svix.json");
    let options = Options {
        data: Some(file.clone()),
        ..Options::default()
    };
    let simulator = Simulator::start(options).await.unwrap();
    let svix = client(&simulator);
    fs::remove_dir(file.parent().unwrap()).unwrap();
    assert_eq!(error_of(get_or_create(&svix, "acct_1").await).0, 500);
    assert_eq!(simulator.applications(), []);
    fs::create_dir(file.parent().unwrap()).unwrap();
    get_or_create(&svix, "acct_1").await.unwrap();
}

#[tokio::test]
async fn an_invalid_data_file_and_a_port_in_use_are_start_errors() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("svix.json");
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
async fn stopping_closes_the_connection_of_a_request_that_hangs() {
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
async fn faults_and_state_are_available_over_http() {
    let simulator = start().await;
    let http = reqwest::Client::new();
    let faults = format!("{}/_simulator/faults", simulator.url());
    let put = async |body: &Value| {
        let request = http.put(&faults).body(body.to_string());
        request.send().await.unwrap().status().as_u16()
    };
    let state = async || {
        let url = format!("{}/_simulator/state", simulator.url());
        let response = http.get(url).send().await.unwrap();
        response.json::<Value>().await.unwrap()
    };
    let faults_to_set = json!([
        {"route": "create", "uid": "acct_1", "fault": {"status": 503}, "times": 1},
        {"route": "expire_all", "fault": {"latency_ms": 5}, "work_done": true},
        {"fault": "race", "for_ms": 0},
    ]);
    assert_eq!(put(&faults_to_set).await, 204);
    let svix = client(&simulator);
    assert_eq!(error_of(get_or_create(&svix, "acct_1").await).0, 503);
    let id = get_or_create(&svix, "acct_1").await.unwrap().id;

    let seen = state().await;
    assert_eq!(seen["applications"][0]["id"], id);
    assert_eq!(seen["calls"]["create"], 2);
    assert_eq!(seen["calls_by_uid"]["acct_1"], 2);
    assert_eq!(seen["faults"].as_array().unwrap().len(), 1);
    assert_eq!(seen["faults"][0]["fault"], json!({"latency_ms": 5}));
    // The faults in the state are a valid body for the PUT.
    assert_eq!(put(&seen["faults"]).await, 204);
    for invalid in [
        json!([{"fault": "none such"}]),
        json!([{"fault": "hang", "tmies": 1}]),
        json!([{"fault": {"status": 9}}]),
    ] {
        assert_eq!(put(&invalid).await, 400, "{invalid}");
    }
    let deleted = http.delete(&faults).send().await.unwrap();
    assert_eq!(deleted.status().as_u16(), 204);
    assert_eq!(state().await["faults"], json!([]));
}

#[tokio::test]
async fn an_invalid_certificate_is_a_start_error() {
    let started = Simulator::start_tls(Options::default(), "no", "no").await;
    assert!(matches!(started, Err(SimulatorError::Tls(_))));
}

/// While one handshake is in progress, another one fails. The first client must
/// get its response without waiting for a further connection.
#[tokio::test]
async fn a_failed_tls_handshake_does_not_delay_other_clients() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = certified.signing_key.serialize_pem();
    let simulator = Simulator::start_tls(Options::default(), &certified.cert.pem(), &key)
        .await
        .unwrap();
    let connect = async || TcpStream::connect(simulator.address()).await.unwrap();
    let (mut failing, client) = (connect().await, connect().await);
    failing
        .write_all(b"this is not a TLS handshake")
        .await
        .unwrap();
    // The server may close the connection with or without a reset.
    let _ = failing.read_to_end(&mut Vec::new()).await;

    let mut roots = RootCertStore::empty();
    roots.add(certified.cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut client = connector.connect(name, client).await.unwrap();
    let request = b"GET /login HTTP/1.0\r\nHost: localhost\r\n\r\n";
    client.write_all(request).await.unwrap();
    let mut status = [0; 12];
    timeout(DEADLINE, client.read_exact(&mut status))
        .await
        .expect("the server must respond before the deadline")
        .unwrap();
    assert_eq!(&status, b"HTTP/1.0 200");
}
