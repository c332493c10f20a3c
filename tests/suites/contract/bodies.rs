//! Request bodies. An operation that needs none ignores it; where one is needed, it is refused if it
//! is late, cut off or too large.

use reqwest::{Method, RequestBuilder};
use rstest::rstest;
use tests::Deployment;
use tests::Kind::{self, Embedded, Production};
use tests::client::{KEY_PATH, LEAKS_PATH, OPERATIONS};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;

/// The largest body that is let through, in bytes.
const MOST: usize = 16 * 1024;

#[rstest]
#[tokio::test]
async fn a_large_body_is_refused_and_any_other_is_ignored(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = Deployment::start(kind).await;
    let client = &deployment.client;
    for (method, path) in OPERATIONS {
        for size in [MOST + 1, 256 * 1024] {
            let send = |request: RequestBuilder| request.body("x".repeat(size));
            client
                .send(method.clone(), path, send)
                .await
                .is_error(413, "payload_too_large");
        }
    }

    let most = "x".repeat(MOST);
    let bodies: [(Option<&str>, &[u8]); 7] = [
        (None, b""),
        (None, b"\xff\xfe\0"),
        (Some("application/json"), b"{}"),
        (Some("application/json"), b"{not json"),
        (Some("application/x-www-form-urlencoded"), b"a=1"),
        (Some("nonsense"), b"<a/>"),
        (Some("text/plain; charset=utf-16"), most.as_bytes()),
    ];
    for (content_type, body) in bodies {
        let session = deployment.session().await;
        for (method, status) in [
            (Method::POST, 201),
            (Method::GET, 200),
            (Method::DELETE, 200),
        ] {
            let send = |request: RequestBuilder| {
                let request = request.bearer_auth(&session).body(body.to_vec());
                match content_type {
                    Some(content_type) => request.header("content-type", content_type),
                    None => request,
                }
                .header("accept", "application/xml")
            };
            let answer = client.send(method, KEY_PATH, send).await;
            assert_eq!(answer.status, status, "{content_type:?}: {answer:?}");
        }
    }
}

type Connection = BufStream<TcpStream>;

async fn connect(deployment: &Deployment) -> Connection {
    let address = deployment.client.base().strip_prefix("http://").unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    BufStream::new(stream)
}

/// Sends a POST for a key, its body apart from its head. The answer, in lower case.
async fn post(connection: &mut Connection, headers: &str, body: &[u8]) -> String {
    post_to(KEY_PATH, connection, headers, body).await
}

async fn post_to(path: &str, connection: &mut Connection, headers: &str, body: &[u8]) -> String {
    let head = format!("POST {path} HTTP/1.1\r\nhost: test\r\n{headers}\r\n\r\n");
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.flush().await.unwrap();
    connection.write_all(body).await.unwrap();
    connection.flush().await.unwrap();

    let mut answer = String::new();
    while !answer.ends_with("\r\n\r\n") {
        let read = connection.read_line(&mut answer).await.unwrap();
        assert_ne!(read, 0, "the connection was closed: {answer}");
    }
    let answer = answer.to_lowercase();
    let length = answer.split("content-length: ").nth(1).unwrap();
    let length: usize = length.lines().next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await.unwrap();
    answer + &String::from_utf8(body).unwrap().to_lowercase()
}

/// It would be closed, and the next request on it fail, if the body were not
/// read to its end.
#[rstest]
#[tokio::test]
async fn a_connection_outlives_a_body_that_comes_after_its_head(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = Deployment::start(kind).await;
    for size in [2, MOST] {
        let mut connection = connect(&deployment).await;
        let (headers, body) = (format!("content-length: {size}"), vec![b'x'; size]);
        for _ in 0..200 {
            let answer = post(&mut connection, &headers, &body).await;
            assert!(answer.starts_with("http/1.1 401"), "{answer}");
            assert!(!answer.contains("connection: close"), "{answer}");
        }
    }
}

#[rstest]
#[tokio::test]
async fn where_a_body_is_not_read_the_answer_says_that_the_connection_ends(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = Deployment::start(kind).await;
    let chunk = format!("{:x}\r\n{}\r\n", MOST + 1, "x".repeat(MOST + 1));
    let table: [(String, &[u8], u16); 4] = [
        (format!("content-length: {}", MOST + 1), b"", 413),
        ("transfer-encoding: chunked".into(), chunk.as_bytes(), 413),
        ("transfer-encoding: chunked".into(), b"zz\r\n", 400),
        // One that never comes is not waited for.
        ("content-length: 5".into(), b"", 401),
    ];
    for (headers, body, status) in table {
        let answer = post(&mut connect(&deployment).await, &headers, body).await;
        assert!(
            answer.starts_with(&format!("http/1.1 {status}")),
            "{answer}"
        );
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    }
}

#[rstest]
#[tokio::test]
async fn a_body_that_is_needed_and_does_not_come_is_refused_as_late(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = Deployment::start(kind).await;
    let headers = "content-type: application/json\r\ncontent-length: 5";
    let mut connection = connect(&deployment).await;
    let answer = post_to(LEAKS_PATH, &mut connection, headers, b"{").await;
    assert!(answer.starts_with("http/1.1 400"), "{answer}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    assert!(
        answer.contains("did not arrive within 2 seconds"),
        "{answer}"
    );
}

#[rstest]
#[tokio::test]
async fn half_a_request_mints_nothing(#[values(Production, Embedded)] kind: Kind) {
    let deployment = Deployment::start(kind).await;
    let session = deployment.session().await;
    let headers = format!("authorization: Bearer {session}\r\ntransfer-encoding: chunked");
    let answer = post(&mut connect(&deployment).await, &headers, b"zz\r\n").await;
    assert!(answer.starts_with("http/1.1 400"), "{answer}");
    assert_eq!(
        deployment.client.show(&session).await.text,
        r#"{"has_key":false}"#
    );
    assert_eq!(deployment.client.create(&session).await.status, 201);
}
