//! Clients that hold connections without using them.

use std::time::Duration;

use futures_util::future::join_all;
use tests::{Deployment, Plan, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

use super::{SOON, memory};

/// Half requests, and connections on which nothing sensible comes.
const HALF: [&[u8]; 6] = [
    b"",
    b"G",
    b"\r\n",
    b"\r\n\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nhost: half",
    b"POST /api/v1/partners/api-key HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhal",
];

async fn connect(base: &str) -> TcpStream {
    let address = base.strip_prefix("http://").unwrap();
    TcpStream::connect(address).await.unwrap()
}

/// Waits until the server has closed the connection.
async fn closed(mut connection: TcpStream) {
    let mut read = Vec::new();
    let end = connection.read_to_end(&mut read);
    let ended = tokio::time::timeout(Duration::from_mins(1), end).await;
    // An error is an end too: the server has reset the connection.
    let _ = ended.expect("the connection is still open");
}

async fn every_half_request_is_closed(base: &str) {
    let started = Instant::now();
    let mut connections = Vec::new();
    for half in HALF {
        let mut connection = connect(base).await;
        connection.write_all(half).await.unwrap();
        connections.push(connection);
    }
    for connection in connections {
        closed(connection).await;
    }
    tests::report(&format!(
        "the last half request was closed after {:?}",
        started.elapsed()
    ));
}

#[tokio::test]
async fn half_requests_are_closed_at_the_api_and_at_the_worker() {
    let mut deployment = Deployment::planned(Plan {
        env: vec![("ADMIN_ADDR", "127.0.0.1:0".to_owned())],
        ..Plan::default()
    })
    .await;
    deployment.start_worker().await;
    let worker = deployment.in_production_mut().workers[0].admin_url().await;
    tokio::join!(
        every_half_request_is_closed(deployment.client.base()),
        every_half_request_is_closed(&worker),
    );
    assert_eq!(deployment.probe("/healthz").await.0, 200);
    let answer = tests::http::get(format!("{worker}/healthz")).await.unwrap();
    assert_eq!(answer.status(), 200);
}

/// Load balancers keep connections for a minute.
#[tokio::test]
async fn a_connection_that_was_used_may_be_idle_for_longer() {
    let deployment = Deployment::production(0).await;
    let mut used = connect(deployment.client.base()).await;
    let request = b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n";
    let ask = async |connection: &mut TcpStream| {
        connection.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            let read = connection.read_buf(&mut answer).await.unwrap();
            assert_ne!(read, 0, "the connection was closed");
        }
        answer
    };
    ask(&mut used).await;
    let unused = connect(deployment.client.base()).await;
    closed(unused).await;
    let answer = ask(&mut used).await;
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
}

/// 400 answers of 3 MB were 1.3 GB once.
#[tokio::test]
async fn clients_that_do_not_read_cost_little_memory_and_are_closed() {
    const CLIENTS: usize = 400;
    let alone = tests::heavy().await;
    let deployment = Deployment::production(0).await;
    let base = deployment.client.base();
    let whole = tests::http::get(format!("{base}/docs")).await.unwrap();
    let whole = whole.bytes().await.unwrap().len();
    let before = memory(&deployment.server);
    let address = base.strip_prefix("http://").unwrap();
    let mut connections = Vec::new();
    for _ in 0..CLIENTS {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut connection = socket.connect(address.parse().unwrap()).await.unwrap();
        let request = b"GET /docs HTTP/1.1\r\nhost: a\r\n\r\n";
        connection.write_all(request).await.unwrap();
        connections.push(connection);
    }
    let answered = || async { deployment.server.log().matches("\"/docs\"").count() };
    eventually("all are answered", SOON, answered, |count| *count > CLIENTS).await;
    let grown = memory(&deployment.server).saturating_sub(before);
    tests::report(&format!(
        "{CLIENTS} clients that do not read took {grown} kB"
    ));
    assert!(grown < 50 * 1024, "{grown} kB");
    drop(alone); // from here on it waits

    let started = Instant::now();
    // The connections of this test's other requests are idle, and may stay.
    let open = || async { open_connections(address) };
    eventually("the server has closed them", SOON, open, |open| {
        *open < CLIENTS / 10
    })
    .await;
    tests::report(&format!(
        "they were closed after {:?} more",
        started.elapsed()
    ));
    let read = connections.into_iter().map(async |mut connection| {
        let mut read = Vec::new();
        let _ = connection.read_to_end(&mut read).await;
        read.len()
    });
    for read in join_all(read).await {
        assert!(read < whole, "the answer was sent as a whole");
    }
}

/// Returns the number of established connections to this address, as the server sees
/// them.
fn open_connections(address: &str) -> usize {
    let port: u16 = address.rsplit_once(':').unwrap().1.parse().unwrap();
    let local = format!(":{port:04X}");
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let is_open = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields[1].ends_with(&local) && fields[3] == "01"
    };
    table.lines().skip(1).filter(is_open).count()
}

/// One connection could ask for any number of answers at once.
#[tokio::test]
async fn http_2_is_not_spoken() {
    let deployment = Deployment::production(0).await;
    let mut connection = connect(deployment.client.base()).await;
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let hello = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &settings[..]].concat();
    connection.write_all(&hello).await.unwrap();
    let mut answer = Vec::new();
    let _ = connection.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    let is_http_1 = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
    assert!(is_http_1, "{answer:?}");
    assert_eq!(deployment.probe("/healthz").await.0, 200);
}

/// The time limit of their headers is over only after the process must have ended.
#[tokio::test]
async fn half_requests_do_not_hold_a_process_that_is_told_to_stop() {
    let mut deployment = Deployment::production(0).await;
    let mut connections = Vec::new();
    for half in HALF {
        let mut connection = connect(deployment.client.base()).await;
        connection.write_all(half).await.unwrap();
        connections.push(connection);
    }
    let started = Instant::now();
    deployment.server.signal("TERM");
    assert_eq!(deployment.server.ended().await.code(), Some(0));
    tests::report(&format!("the process ended after {:?}", started.elapsed()));
}
