//! `reportLeakedPartnerApiKeys`.

use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest::header::HeaderName;
use rstest::rstest;
use serde_json::{Value, json};
use shared::key::PartnerKey;
use tests::Kind::{self, Embedded, Production};
use tests::client::LEAKS_PATH;
use tests::{Answer, Deployment, Plan, eventually};

use super::{SOON, ready_key, revocations, revoked_because};

fn random_key() -> String {
    PartnerKey::generate().unwrap().expose().to_owned()
}

async fn send(deployment: &Deployment, body: &Value) -> Answer {
    let send = |request: reqwest::RequestBuilder| request.body(body.to_string());
    deployment.client.send(Method::POST, LEAKS_PATH, send).await
}

#[rstest]
#[tokio::test]
async fn a_reported_key_ends_at_once_and_its_account_learns_why(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = Deployment::start(kind).await;
    let client = &deployment.client;
    let (session, key) = ready_key(&deployment).await;
    let (other, kept) = ready_key(&deployment).await;
    assert_eq!(client.portal(&key).await.status, 200);

    assert_eq!(client.report(&[&key]).await.status, 202);
    client.portal(&key).await.is_error(401, "unauthorized");
    assert_eq!(revoked_because(&client.show(&session).await.body), "leaked");
    assert_eq!(client.portal(&kept).await.status, 200);
    assert_eq!(client.show(&other).await.body["has_key"], true);
    // What a thief has opened at Svix ends too.
    let opened = deployment.svix.portal_sessions()[0].session_id.clone();
    let opened = opened.unwrap();
    let ended = || async { deployment.svix.expired_sessions() };
    let is_ended = |ended: &Vec<String>| ended.contains(&opened);
    eventually("the portal session has ended", SOON, ended, is_ended).await;

    // The account goes on with another key, and no longer sees the leak.
    let created = client.create(&session).await;
    assert_eq!(created.status, 201);
    let shown = client.show(&session).await.body;
    assert_eq!(shown.get("revoked"), None, "{shown}");
    assert_eq!(client.revoke(&session).await.status, 200);
    assert_eq!(revoked_because(&client.show(&session).await.body), "by_you");
}

#[tokio::test]
async fn an_account_without_a_key_so_far_is_shown_no_end() {
    let deployment = Deployment::start(Embedded).await;
    let shown = deployment.client.show(&deployment.session().await).await;
    assert_eq!(shown.body, json!({"has_key": false}));
}

/// Who reports a key cannot find out whether it exists.
#[tokio::test]
async fn every_report_has_the_same_answer() {
    let deployment = Deployment::production(1).await;
    let (_, live) = ready_key(&deployment).await;
    let (session, revoked) = ready_key(&deployment).await;
    assert_eq!(deployment.client.revoke(&session).await.status, 200);
    let unknown = random_key();
    let prefix = &live[..24].to_owned();
    for keys in [
        vec![&live],
        vec![&live], // now it is revoked too
        vec![&revoked],
        vec![&unknown],
        vec![prefix],
        vec![&unknown; 100],
    ] {
        let began = Instant::now();
        let answer = send(&deployment, &json!({ "keys": keys })).await;
        // The service waits until then; only a later answer depends on the machine.
        assert!(began.elapsed() >= Duration::from_millis(50), "{answer:?}");
        assert_eq!(answer.status, 202);
        assert_eq!(answer.text, r#"{"success":true}"#);
        let mut names: Vec<_> = answer.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        let expected = [
            "cache-control",
            "content-length",
            "content-type",
            "date",
            "x-content-type-options",
            "x-request-id",
        ];
        assert_eq!(names, expected, "{answer:?}");
    }
    let trail = revocations(&deployment).await;
    assert_eq!(trail, ["account: ", "report: found at an unknown address"]);
}

#[tokio::test]
async fn many_keys_are_revoked_by_one_report_that_says_where_they_were() {
    let deployment = Deployment::production(0).await;
    let client = &deployment.client;
    let sessions = deployment.sessions(20).await;
    let mut keys = Vec::new();
    for session in &sessions {
        keys.push(client.create(session).await.text("api_key"));
    }
    // The others are not ours, or written in another way.
    let mut reported = keys.clone();
    reported[0] = format!(" {}\n", keys[0]);
    reported.extend((0..79).map(|_| random_key()));
    reported.push("sk_live_0".to_owned());
    let url = format!("https://jo:pw@example.com/a?key={}#b", &keys[0]);
    let answer = send(&deployment, &json!({ "keys": reported, "url": url })).await;
    assert_eq!(answer.status, 202);
    for (session, key) in sessions.iter().zip(&keys) {
        client.portal(key).await.is_error(401, "unauthorized");
        assert_eq!(revoked_because(&client.show(session).await.body), "leaked");
    }
    let trail = revocations(&deployment).await;
    let expected = "report: found at an address that contains a key";
    assert_eq!(trail, vec![expected; keys.len()]);

    let created = client.create(&sessions[0]).await.text("api_key");
    let report = json!({ "keys": [created], "url": "https://example.com/a?b" });
    assert_eq!(send(&deployment, &report).await.status, 202);
    let trail = revocations(&deployment).await;
    assert_eq!(
        trail.last().unwrap(),
        "report: found at https://example.com/a?b"
    );
}

#[tokio::test]
async fn a_malformed_report_is_refused_and_changes_nothing() {
    let deployment = Deployment::production(0).await;
    let client = &deployment.client;
    let session = deployment.session().await;
    let key = client.create(&session).await.text("api_key");
    for body in [
        json!({}),
        json!([key]),
        json!({ "keys": [] }),
        json!({ "keys": key }),
        json!({ "keys": [key, null] }),
        json!({ "keys": vec![&key; 101] }),
        json!({ "keys": [key], "url": [] }),
    ] {
        let answer = send(&deployment, &body).await;
        answer.is_error(400, "bad_request");
        assert!(!answer.text.contains(&key[24..]), "{answer:?}");
    }
    let empty = client
        .send(Method::POST, LEAKS_PATH, |request| request)
        .await;
    empty.is_error(400, "bad_request");
    let large = json!({ "keys": [key], "url": "x".repeat(16 * 1024) });
    send(&deployment, &large)
        .await
        .is_error(413, "payload_too_large");
    assert_eq!(client.show(&session).await.body["has_key"], true);
}

/// With a rotation under way, each of the two keys ends alone.
#[rstest]
#[tokio::test]
async fn a_leak_ends_only_the_key_that_has_leaked(#[values(Production, Embedded)] kind: Kind) {
    let deployment = Deployment::start(kind).await;
    let client = &deployment.client;
    let (session, old) = ready_key(&deployment).await;
    let new = client.start_rotation(&session, None).await.text("api_key");
    assert_eq!(client.report(&[&old]).await.status, 202);
    client.portal(&old).await.is_error(401, "unauthorized");
    assert_eq!(client.portal(&new).await.status, 200);
    let shown = client.show(&session).await.body;
    assert_eq!(shown.get("rotation"), None, "{shown}");
    client
        .cancel_rotation(&session)
        .await
        .is_error(409, "conflict");

    // The other way round, the previous key can become the account's key again.
    let newer = client.start_rotation(&session, None).await.text("api_key");
    assert_eq!(client.report(&[&newer]).await.status, 202);
    client.portal(&newer).await.is_error(401, "unauthorized");
    assert_eq!(client.portal(&new).await.status, 200);
    assert_eq!(revoked_because(&client.show(&session).await.body), "leaked");
    assert_eq!(client.cancel_rotation(&session).await.status, 200);
    assert_eq!(client.show(&session).await.text("prefix"), new[..24]);
}

#[tokio::test]
async fn an_address_reports_no_more_than_thirty_times_a_minute() {
    let deployment = Deployment::planned(Plan {
        env: vec![("RATE_LIMIT_REPORTS", "30/h".to_owned())],
        ..Plan::default()
    })
    .await;
    let (client, key) = (&deployment.client, random_key());
    for _ in 0..30 {
        assert_eq!(client.report(&[&key]).await.status, 202);
    }
    let refused = client.report(&[&key]).await;
    refused.is_error(429, "rate_limited");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
}

/// The reporter is told to come again, so no leak is lost.
#[tokio::test]
async fn without_the_database_a_report_is_refused_with_a_time_to_wait() {
    let mut postgres = tests::PrivatePostgres::start().await;
    let database = Some(postgres.migrated().await);
    let plan = Plan {
        database,
        ..Plan::default()
    };
    let deployment = Deployment::planned(plan).await;
    let (client, session) = (&deployment.client, deployment.session().await);
    let key = client.create(&session).await.text("api_key");
    postgres.stop().await;
    let refused = client.report(&[&key]).await;
    refused.is_error(503, "unavailable");
    postgres.restart().await;
    let report = || async { client.report(&[&key]).await };
    eventually("the report is taken", SOON, report, |it| it.status == 202).await;
    client.portal(&key).await.is_error(401, "unauthorized");
}

/// As an operator's `api key revoke`, with and without `--leaked`.
#[tokio::test]
async fn an_operator_s_revocation_is_told_without_the_operator_s_words() {
    let deployment = Deployment::production(0).await;
    let client = &deployment.client;
    for (flags, reason, recorded) in [
        (&["--reason", "words"][..], "operator", "operator: words"),
        (&[], "operator", "operator: "),
        (&["--leaked"], "leaked", "operator: leaked"),
        (
            &["--leaked", "--reason", "words"],
            "leaked",
            "operator: leaked: words",
        ),
    ] {
        let session = deployment.session().await;
        let prefix = client.create(&session).await.text("prefix");
        let command = ["key", "revoke", "--prefix", &prefix];
        let command = [&command[..], flags].concat();
        let (code, output) = crate::attacks::operators::api(&deployment, &command, "").await;
        assert_eq!(code, 0, "{output}");
        let shown = client.show(&session).await;
        assert_eq!(revoked_because(&shown.body), reason);
        assert!(!shown.text.contains("words"), "{shown:?}");
        assert_eq!(revocations(&deployment).await.last().unwrap(), recorded);
    }
}
