//! Requests of all kinds, right and wrong.

use std::time::Duration;

use reqwest::{Method, Url};
use shared::key::PartnerKey;
use svix_simulator::{Fault, Pattern};
use tests::Deployment;
use tests::client::{KEY_PATH, OPERATIONS, PORTAL_PATH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Secrets;

const SOON: Duration = Duration::from_secs(20);

/// Uses a deployment rightly and wrongly, while Svix works and while it fails.
/// Notes the secrets; gives a key that is active at the end.
pub async fn use_everything(deployment: &Deployment, secrets: &mut Secrets) -> String {
    let client = &deployment.client;
    let session = deployment.session().await;
    secrets.add_session(&session);
    let request = "a_value_of_the_header_idempotency_key";
    secrets.add("an idempotency key", request);
    let created = client.create_once(&session, request).await;
    let first = created.text("api_key");
    secrets.add_key(&first);
    let repeated = client.create_once(&session, request).await;
    assert_eq!(repeated.body["error"]["created"]["prefix"], first[..24]);
    let invalid = format!("{request} {request}");
    let refused = client.create_once(&session, &invalid).await;
    refused.is_error(400, "bad_request");
    client.create(&session).await.is_error(409, "conflict");
    deployment.provisioned(&session, SOON).await;
    open_portal(deployment, &first, secrets).await;

    let stranger = PartnerKey::generate().unwrap().expose().to_owned();
    secrets.add_key(&stranger);
    for credential in [&first, &stranger, &session] {
        put_everywhere(deployment, credential).await;
        send_malformed(deployment, credential).await;
    }
    let faults = [
        (Fault::Status(401), 502),
        (Fault::Status(422), 502),
        (Fault::Status(500), 502),
        (Fault::RateLimited, 502),
        (Fault::NotJson, 502),
        (Fault::TruncatedBody, 502),
        (Fault::Reset, 502),
        (Fault::Hang, 504),
    ];
    for (fault, status) in faults {
        let shown = format!("{fault:?}");
        deployment.svix.fault(Pattern::any(), fault).until_cleared();
        assert_eq!(client.portal(&first).await.status, status, "{shown}");
        deployment.svix.clear_faults();
    }

    // A second key, which is provisioned after a few failures.
    deployment
        .svix
        .fault(Pattern::any(), Fault::Status(500))
        .times(2);
    let cookie = format!("session={session}");
    let origin = deployment.client.base();
    for method in [Method::DELETE, Method::POST] {
        let answer = client.send(method, KEY_PATH, |r| {
            r.header("cookie", &cookie).header("origin", origin)
        });
        let answer = answer.await;
        assert!(answer.status.is_success(), "{answer:?}");
    }
    client.portal(&first).await.is_error(401, "unauthorized");
    assert_eq!(client.revoke(&session).await.status, 200);
    let second = client.create(&session).await.text("api_key");
    secrets.add_key(&second);
    deployment.provisioned(&session, SOON).await;
    open_portal(deployment, &second, secrets).await;
    second
}

async fn open_portal(deployment: &Deployment, key: &str, secrets: &mut Secrets) {
    let url = deployment.client.portal(key).await.text("url");
    let url = Url::parse(&url).unwrap();
    let link = url
        .fragment()
        .and_then(|fragment| fragment.strip_prefix("key="));
    secrets.add(
        "a portal link's key",
        link.unwrap().strip_prefix("appsk_").unwrap(),
    );
}

/// Puts a credential where it does not belong, and sends it to all operations.
/// No answer repeats it.
async fn put_everywhere(deployment: &Deployment, credential: &str) {
    let client = &deployment.client;
    let mut answers = Vec::new();
    for (method, path) in OPERATIONS {
        // Where it does belong is somebody else's test.
        for headers in [
            vec![("cookie", format!("session={credential}x"))],
            vec![("cookie", credential.to_owned())],
            vec![("x-request-id", credential.to_owned())],
            vec![("x-api-key", credential.to_owned())],
            vec![("authorization", credential.to_owned())],
            vec![("authorization", format!("Basic {credential}"))],
            vec![(
                "authorization",
                format!("Bearer  {credential} {credential}"),
            )],
            vec![("origin", format!("https://{credential}.example"))],
            vec![("user-agent", credential.to_owned())],
            vec![("referer", format!("https://a.example/?key={credential}"))],
        ] {
            let answer = client.send(method.clone(), path, |mut request| {
                for (name, value) in headers {
                    request = request.header(name, value);
                }
                request
            });
            answers.push(answer.await);
        }
        for path in [
            format!("{path}/{credential}"),
            format!("{path}?api_key={credential}"),
            format!("/{credential}"),
            format!("/docs/{credential}"),
        ] {
            answers.push(client.send(method.clone(), &path, |r| r).await);
        }
        let body = format!(r#"{{"api_key":"{credential}"}}"#);
        let answer = client.send(method, path, |r| r.body(body));
        answers.push(answer.await);
    }
    let method = Method::from_bytes(b"PROPFIND").unwrap();
    answers.push(
        client
            .send(method, PORTAL_PATH, |r| r.bearer_auth(credential))
            .await,
    );
    for answer in answers {
        assert!(answer.status.is_client_error(), "{answer:?}");
        let headers = format!("{:?}", answer.headers);
        let tail = &credential[24..];
        assert!(
            !answer.text.contains(tail) && !headers.contains(tail),
            "{answer:?}"
        );
    }
}

/// What no HTTP client would send.
async fn send_malformed(deployment: &Deployment, credential: &str) {
    let address = deployment.client.base().strip_prefix("http://").unwrap();
    for request in [
        format!("{credential}\r\n\r\n"),
        format!("GET {credential} HTTP/1.1\r\n\r\n"),
        format!("GET / HTTP/9 {credential}\r\n\r\n"),
        format!("{credential} / HTTP/1.1\r\nhost: a\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {credential}\0\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nhost: a\r\n{credential} : a\r\n\r\n"),
        format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {credential}\r\n\r\n"),
        format!(
            "GET / HTTP/1.1\r\nhost: a\r\ncookie: {}\r\n\r\n",
            credential.repeat(10_000)
        ),
    ] {
        let mut connection = TcpStream::connect(address).await.unwrap();
        let _ = connection.write_all(request.as_bytes()).await;
        let _ = connection.shutdown().await;
        let mut answer = Vec::new();
        let read = connection.read_to_end(&mut answer);
        // It may be cut off; it must not be kept waiting.
        let _ = tokio::time::timeout(SOON, read).await.expect("an end");
        let answer = String::from_utf8_lossy(&answer);
        assert!(!answer.contains(&credential[24..]), "{answer}");
    }
}
