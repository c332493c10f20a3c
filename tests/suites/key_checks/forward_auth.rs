//! Forward auth, as proxies ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::header::AUTHORIZATION;
use reqwest::{Client as Http, Method};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use tests::client::unknown_key;
use tests::process::free_port;
use tests::{Client, Deployment, Plan};

use super::{TOKENS, deployment, key};

const PATH: &str = "/internal/v1/forward-auth";

#[tokio::test]
async fn any_method_and_path_is_answered_with_the_identity_of_the_key() {
    let (deployment, internal) = deployment().await;
    let (session, key) = key(&deployment, "auth0|6123 é").await;
    let id = internal.base().to_owned();
    for method in [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND",
    ] {
        for path in ["", "/", "/partners/hook?x=1", "/a/../b", "/%00"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let request = Http::new().request(method.clone(), format!("{id}{PATH}{path}"));
            // A client's forgeries, and the length of a body that the proxy keeps back.
            let request = request
                .header(AUTHORIZATION, format!("Bearer {key}"))
                .header("x-account-id", "evil")
                .header("x-key-id", "evil")
                .header("x-forwarded-uri", "/evil");
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 200, "{method} {path}");
            let all = answer.headers();
            let one = |name: &str| {
                let values: Vec<_> = all.get_all(name).iter().collect();
                assert_eq!(values.len(), 1, "{name}");
                values[0].to_str().unwrap().to_owned()
            };
            assert_eq!(one("x-account-id"), "auth0|6123%20%C3%A9");
            assert_eq!(one("x-key-prefix"), key[..24]);
            uuid::Uuid::parse_str(&one("x-key-id")).unwrap();
            assert_eq!(one("cache-control"), "no-store");
        }
    }
    deployment.client.revoke(&session).await;
    let again = internal
        .authorized(Method::GET, PATH, format!("Bearer {key}").as_bytes())
        .await;
    again.is_error(401, "unauthorized");
}

/// The proxy keeps the client's body back, and some pass its length on. The server closes a
/// connection whose request has a body that nobody reads.
#[tokio::test]
async fn a_body_is_not_waited_for_and_the_answer_says_that_the_connection_ends() {
    let (deployment, internal) = deployment().await;
    let (_, key) = key(&deployment, "jo").await;
    let address = internal.base().strip_prefix("http://").unwrap();
    for (body, is_kept) in [
        ("", true),
        ("content-length: 0\r\n", true),
        ("content-length: 1000000\r\n", false),
        ("transfer-encoding: chunked\r\n", false),
    ] {
        let mut connection = TcpStream::connect(address).await.unwrap();
        let authorization = format!("authorization: Bearer {key}\r\n");
        let head = format!("PUT {PATH}/upload HTTP/1.1\r\nhost: a\r\n{authorization}{body}\r\n");
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            assert_ne!(connection.read_buf(&mut answer).await.unwrap(), 0);
        }
        let answer = String::from_utf8(answer).unwrap().to_lowercase();
        assert!(answer.starts_with("http/1.1 200"), "{answer}");
        let is_closed = answer.contains("connection: close");
        assert_eq!(is_closed, !is_kept, "{body}: {answer}");
    }
}

#[tokio::test]
async fn anything_but_an_active_key_is_401_however_often_it_is_tried() {
    let (_deployment, internal) = deployment().await;
    let unknown = format!("Bearer {}", unknown_key());
    for value in ["", "Bearer", "Basic abc", "Bearer abc", &unknown] {
        let answer = internal
            .authorized(Method::GET, PATH, value.as_bytes())
            .await;
        answer.is_error(401, "unauthorized");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        assert_eq!(answer.header("x-account-id"), None);
    }
    for _ in 0..200 {
        let answer = internal
            .authorized(Method::GET, PATH, unknown.as_bytes())
            .await;
        answer.is_error(401, "unauthorized"); // never 429
    }
}

/// Three processes, and a thousand checks around each revocation.
#[tokio::test]
async fn no_check_that_begins_after_a_revocation_passes() {
    let _alone = tests::heavy().await;
    let mut addresses = Vec::new();
    let (first, _) = deployment().await;
    let database = first.in_production().database.url();
    let mut deployments = Vec::new();
    for _ in 0..3 {
        let address = format!("127.0.0.1:{}", free_port());
        let env = vec![
            ("INTERNAL_ADDR", address.clone()),
            ("INTERNAL_TOKEN", TOKENS[0].to_owned()),
            ("DATABASE_URL", database.clone()),
        ];
        deployments.push(
            Deployment::planned(Plan {
                env,
                ..Plan::default()
            })
            .await,
        );
        addresses.push(Client::new(&format!("http://{address}")).await);
    }
    let mut passed = 0;
    let mut refused = 0;
    for round in 0..8 {
        let (session, key) = key(&first, &format!("account-{round}")).await;
        let revoked = Arc::new(AtomicBool::new(false));
        let mut checks = JoinSet::new();
        for internal in &addresses {
            for _ in 0..4 {
                let (internal, key) = (internal.clone(), format!("Bearer {key}"));
                let revoked = Arc::clone(&revoked);
                checks.spawn(async move {
                    let (mut passed, mut refused) = (0, 0);
                    while refused < 10 {
                        let is_over = revoked.load(Ordering::SeqCst);
                        let answer = internal.authorized(Method::GET, PATH, key.as_bytes()).await;
                        if answer.status == 200 {
                            assert!(!is_over, "it passed although it began after the 200");
                            passed += 1;
                        } else {
                            refused += 1;
                        }
                    }
                    (passed, refused)
                });
            }
        }
        while !checks.is_empty() {
            if !revoked.load(Ordering::SeqCst) {
                tokio::task::yield_now().await;
                assert_eq!(first.client.revoke(&session).await.status, 200);
                revoked.store(true, Ordering::SeqCst);
            }
            let (more, less) = checks.join_next().await.unwrap().unwrap();
            passed += more;
            refused += less;
        }
    }
    assert!(refused >= 8 * 12 * 10);
    tests::report(&format!(
        "{passed} checks passed before revocations, {refused} failed after"
    ));
}
