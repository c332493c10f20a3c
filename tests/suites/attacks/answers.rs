//! Answers of whoever speaks in Svix's name.

use std::time::Duration;

use shared::svix::{SvixClient, SvixConfig, SvixFailure};
use tests::{Deployment, Plan};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Serves one request with a portal link.
async fn svix_that_links_to(url: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let body = serde_json::json!({ "url": url, "token": "appsk_1" }).to_string();
    tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut request = [0; 8192];
        assert_ne!(connection.read(&mut request).await.unwrap(), 0);
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        connection.write_all(answer.as_bytes()).await.unwrap();
        connection.read_to_end(&mut Vec::new()).await.unwrap();
    });
    format!("http://{address}")
}

/// Pages that copy ours may have no policy that stops it.
#[tokio::test]
async fn a_portal_link_that_browsers_must_not_follow_is_not_handed_out() {
    shared::runtime::init();
    for (url, is_good) in [
        ("https://app.svix.com/login#key=1", true),
        ("http://127.0.0.1:8071/login#key=1", true),
        ("javascript:alert(1)//https://app.svix.com", false),
        ("http://app.svix.com/login#key=1", false),
        ("data:text/html,hello", false),
        ("//app.svix.com/login", false),
        ("", false),
    ] {
        let config = SvixConfig {
            token: "testsk_1".into(),
            server_url: Some(svix_that_links_to(url).await),
            uid_prefix: String::new(),
        };
        let client = SvixClient::new(&config, Duration::from_secs(30));
        let key = shared::ids::KeyId(uuid::Uuid::nil());
        let link = client.portal_link("app_1", key).await;
        match link {
            Ok(link) => assert!(is_good && link.expose() == url, "{url}"),
            Err(error) => {
                assert!(!is_good, "{url}: {error}");
                assert_eq!(error.failure, SvixFailure::Transient);
                assert_eq!(error.to_string(), "a portal link that is not https");
            }
        }
    }
}

/// Two deployments in one environment of Svix shared the applications of their accounts.
#[tokio::test]
async fn deployments_with_different_prefixes_share_no_application() {
    let deployment = Deployment::planned(Plan {
        env: vec![("SVIX_UID_PREFIX", "staging-".to_owned())],
        workers: 1,
        ..Plan::default()
    })
    .await;
    let session = deployment.session_of("jo").await;
    let key = deployment.client.create(&session).await.text("api_key");
    deployment.provisioned(&session, super::SOON).await;
    let account = shared::ids::AccountId::parse("jo").unwrap();
    let uid = shared::svix::application_uid("staging-", &account);
    assert!(uid.starts_with("staging-account-"), "{uid}");
    assert_eq!(deployment.svix.applications()[0].uid, Some(uid));
    assert_eq!(deployment.client.portal(&key).await.status, 200);
}
