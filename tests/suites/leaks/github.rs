//! GitHub's reports, in the format that it documents, signed with keys of our own.

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use shared::key::PartnerKey;
use tests::Kind::{self, Embedded, Production};
use tests::github::{ReportKey, published};
use tests::identity_provider::{IdentityProvider, Mood};
use tests::{Answer, Deployment, Plan};

use super::{ready_key, revocations, revoked_because};

const PATH: &str = "/api/github/secret-scanning";

/// The server that publishes GitHub's keys.
async fn publisher(keys: &[&ReportKey]) -> IdentityProvider {
    let publisher = IdentityProvider::start(&[]).await;
    publisher.publish_document(&published(keys));
    publisher
}

fn settings(publisher: &IdentityProvider) -> Vec<(&'static str, String)> {
    vec![
        ("GITHUB_SECRET_SCANNING", "on".to_owned()),
        ("GITHUB_KEYS_URL", publisher.url()),
    ]
}

async fn deployment(kind: Kind, publisher: &IdentityProvider, workers: usize) -> Deployment {
    let env = settings(publisher);
    match kind {
        Embedded => Deployment::embedded(&env).await,
        Production => {
            Deployment::planned(Plan {
                workers,
                env,
                ..Plan::default()
            })
            .await
        }
    }
}

fn finding(token: &str, url: &str) -> Value {
    json!({ "token": token, "type": "partner_api_key", "url": url, "source": "commit" })
}

/// Sends a body with the headers of the signature of another.
async fn send(deployment: &Deployment, key: &ReportKey, signed: &str, body: &str) -> Answer {
    let headers = key.headers(signed.as_bytes());
    let send = |mut request: reqwest::RequestBuilder| {
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.body(body.to_owned())
    };
    deployment.client.send(Method::POST, PATH, send).await
}

async fn report(deployment: &Deployment, key: &ReportKey, findings: &Value) -> Answer {
    // The signature is of the text as it is sent, also if it is written in another way.
    let body = serde_json::to_string_pretty(findings).unwrap();
    send(deployment, key, &body, &body).await
}

#[rstest]
#[tokio::test]
async fn what_github_finds_is_revoked_and_labelled(#[values(Production, Embedded)] kind: Kind) {
    let signer = ReportKey::new("a");
    let publisher = publisher(&[&signer]).await;
    let deployment = deployment(kind, &publisher, 1).await;
    let client = &deployment.client;
    let (session, live) = ready_key(&deployment).await;
    let (other, revoked) = ready_key(&deployment).await;
    assert_eq!(client.revoke(&other).await.status, 200);
    let unknown = PartnerKey::generate().unwrap().expose().to_owned();

    let found = json!([
        finding(&live, "https://github.com/octocat/hello/blob/1/a.txt"),
        finding(&revoked, ""),
        finding(&unknown, "https://github.com/octocat/hello/blob/1/b.txt"),
        finding("pk_live_0", ""),
        { "token": &unknown, "type": "partner_api_key" },
    ]);
    let answer = report(&deployment, &signer, &found).await;
    assert_eq!(answer.status, 200);
    let labels = [
        "true_positive",
        "true_positive",
        "false_positive",
        "false_positive",
    ];
    let labels = [&labels[..], &["false_positive"]].concat();
    let tokens = [&live, &revoked, &unknown, "pk_live_0", &unknown];
    let feedback = tokens.iter().zip(labels).map(|(token, label)| {
        json!({ "token_raw": token, "token_type": "partner_api_key", "label": label })
    });
    assert_eq!(answer.body, feedback.collect::<Value>());

    client.portal(&live).await.is_error(401, "unauthorized");
    assert_eq!(revoked_because(&client.show(&session).await.body), "leaked");
    assert_eq!(revoked_because(&client.show(&other).await.body), "by_you");
    // A repetition changes nothing, and has the same answer.
    assert_eq!(report(&deployment, &signer, &found).await.text, answer.text);
    if kind == Production {
        let found = "report: found by GitHub at https://github.com/octocat/hello/blob/1/a.txt";
        assert_eq!(revocations(&deployment).await, ["account: ", found]);
    }
}

#[tokio::test]
async fn without_the_setting_there_is_nothing_at_the_address() {
    let deployment = Deployment::start(Embedded).await;
    let answer = report(&deployment, &ReportKey::new("a"), &json!([])).await;
    answer.is_error(404, "not_found");
}

#[tokio::test]
async fn what_github_has_not_signed_is_refused_and_revokes_nothing() {
    let (signer, other) = (ReportKey::new("a"), ReportKey::new("a"));
    let publisher = publisher(&[&signer]).await;
    let deployment = deployment(Production, &publisher, 1).await;
    let client = &deployment.client;
    let (session, key) = ready_key(&deployment).await;
    let body = json!([finding(&key, "")]).to_string();
    let spaced = format!("{body} ");
    let stranger = ReportKey::new("b");
    for (signer, signed, why) in [
        (&other, &body, "another key with the same name"),
        (&stranger, &body, "an unknown key"),
        (&signer, &spaced, "another text"),
    ] {
        let answer = send(&deployment, signer, signed, &body).await;
        answer.is_error(400, "bad_request");
        assert!(!answer.text.contains(&key[24..]), "{why}: {answer:?}");
    }
    let unsigned = |r: reqwest::RequestBuilder| r.body(body.clone());
    let unsigned = client.send(Method::POST, PATH, unsigned).await;
    unsigned.is_error(400, "bad_request");
    let garbled = |r: reqwest::RequestBuilder| {
        let r = r.header("Github-Public-Key-Identifier", "a");
        r.header("Github-Public-Key-Signature", "no base64!")
            .body(body.clone())
    };
    let garbled = client.send(Method::POST, PATH, garbled).await;
    garbled.is_error(400, "bad_request");
    let unreadable = report(&deployment, &signer, &json!({ "token": key })).await;
    unreadable.is_error(400, "bad_request");
    assert_eq!(client.show(&session).await.body["has_key"], true);

    // A report of several hundred findings is large. This one is too large.
    let many: Value = (0..1000)
        .map(|n| finding("pk_live_0", &format!("https://a/{n}")))
        .collect();
    assert_eq!(report(&deployment, &signer, &many).await.status, 200);
    let large = json!([finding("pk_live_0", &"x".repeat(1024 * 1024))]);
    report(&deployment, &signer, &large)
        .await
        .is_error(413, "payload_too_large");
    let get = client.send(Method::GET, PATH, |request| request).await;
    get.is_error(405, "method_not_allowed");
    assert_eq!(get.header("allow"), Some("POST"));
}

/// GitHub replaces its keys from time to time. Its keys cannot always be fetched.
#[tokio::test]
async fn a_new_key_of_github_is_fetched_when_it_is_first_used() {
    let (first, second) = (ReportKey::new("first"), ReportKey::new("second"));
    let publisher = publisher(&[&first]).await;
    publisher.is(Mood::Closing);
    let mut deployment = deployment(Production, &publisher, 0).await;
    let empty = json!([]);
    // Without any key it is unknown whether GitHub has signed this, so GitHub must repeat it.
    let answer = report(&deployment, &first, &empty).await;
    answer.is_error(503, "unavailable");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    let failed = "GitHub's keys could not be fetched";
    deployment.server.logged(failed).await;

    publisher.is(Mood::Serving);
    let again = || report(&deployment, &first, &empty);
    let taken = |answer: &Answer| answer.status == 200;
    tests::eventually("a report is taken", super::SOON, again, taken).await;

    publisher.publish_document(&published(&[&first, &second]));
    assert_eq!(report(&deployment, &second, &empty).await.status, 200);
    publisher.is(Mood::Closing);
    for signer in [&first, &second] {
        assert_eq!(report(&deployment, signer, &empty).await.status, 200);
    }
}
