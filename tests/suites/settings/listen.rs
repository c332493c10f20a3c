//! Where the servers listen.

use std::net::TcpListener;

use tests::Process;
use tests::process::free_port;

use super::{GOOD, run, with};

/// Where the api says it listens, given this.
async fn listens(args: &[&str], addr: Option<&str>, port: Option<&str>) -> String {
    let dir = tests::scratch();
    let mut env: Vec<(&str, String)> = GOOD.map(|(name, value)| (name, value.into())).into();
    env.retain(|(name, _)| *name != "LISTEN_ADDR");
    env.extend(addr.map(|addr| ("LISTEN_ADDR", addr.to_owned())));
    env.extend(port.map(|port| ("PORT", port.to_owned())));
    let mut api = Process::start(dir.path(), "api", args, &env);
    let url = api.url().await;
    // It serves there, although nothing that it needs is there.
    let url = url.replace("0.0.0.0", "127.0.0.1");
    let http = tests::http::client();
    let alive = http.get(format!("{url}/healthz")).send().await.unwrap();
    assert_eq!(alive.status(), 200);
    let line = api.logged("listening on http").await;
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    line["address"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_address_counts_before_the_port_and_a_flag_before_a_variable() {
    let ports = [free_port(), free_port(), free_port(), free_port()];
    let [a, b, c, d] = ports.map(|port| port.to_string());
    let local = |port: &str| format!("127.0.0.1:{port}");

    let everywhere = format!("0.0.0.0:{a}");
    assert_eq!(listens(&[], None, Some(&a)).await, everywhere);
    assert_eq!(listens(&[], Some(""), Some(&a)).await, everywhere);
    assert_eq!(listens(&["--port", &a], None, Some(&b)).await, everywhere);
    let by_both = listens(&[], Some(&local(&b)), Some(&a)).await;
    assert_eq!(by_both, local(&b));
    let by_flag = listens(&["--listen", &local(&c)], Some(&local(&d)), Some(&a)).await;
    assert_eq!(by_flag, local(&c));
    let by_port_flag = listens(&["--port", &d], Some(&local(&b)), None).await;
    assert_eq!(
        by_port_flag,
        local(&b),
        "the address counts, wherever it is from"
    );
}

#[tokio::test]
async fn an_address_in_use_is_named_with_its_variable() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let cases = [
        ("api", "LISTEN_ADDR"),
        ("standalone", "LISTEN_ADDR"),
        ("api", "ADMIN_ADDR"),
        ("worker", "ADMIN_ADDR"),
        ("standalone", "ADMIN_ADDR"),
    ];
    for (name, variable) in cases {
        let ended = run(name, &[], &with(variable, &address)).await;
        assert_eq!(ended.code, 1, "{ended:?}");
        let message = format!("{name}: {variable}: cannot listen on {address}: ");
        let line = ended.stderr.lines().find(|line| line.starts_with(&message));
        assert!(line.is_some_and(|l| l.contains("in use")), "{ended:?}");
    }
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_made_is_named_with_its_variable() {
    let dir = tests::scratch();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let data = file.join("data");
    let ended = run("standalone", &[], &[("DATA_DIR", data.to_str().unwrap())]).await;
    assert_eq!(ended.code, 1, "{ended:?}");
    let message = format!(
        "standalone: DATA_DIR: cannot keep the database in {}",
        data.display()
    );
    assert!(ended.stderr.contains(&message), "{ended:?}");
}
