//! One caller that sends more than its share.

use reqwest::Method;
use reqwest::header::AUTHORIZATION;
use svix_simulator::{Fault, Pattern, Route};
use tests::client::{KEY_PATH, PORTAL_PATH, unknown_key};
use tests::{Answer, Client, Deployment, Plan};

use super::SOON;

/// Starts a production deployment with these limits; empty stands for the default.
async fn limited(limits: &[(&'static str, &str)], workers: usize) -> Deployment {
    let env = limits.iter().map(|(name, value)| (*name, (*value).into()));
    Deployment::planned(Plan {
        env: env.collect(),
        workers,
        ..Plan::default()
    })
    .await
}

#[track_caller]
fn is_limited(answer: &Answer) {
    answer.is_error(429, "rate_limited");
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3600).contains(&seconds), "{answer:?}");
}

/// 126 rows a second, for ever.
#[tokio::test]
async fn an_account_creates_and_revokes_no_more_than_twenty_times_an_hour() {
    let deployment = limited(&[("RATE_LIMIT_CREATE", "")], 0).await;
    let (client, session) = (&deployment.client, deployment.session().await);
    for _ in 0..10 {
        assert_eq!(client.create(&session).await.status, 201);
        assert_eq!(client.revoke(&session).await.status, 200);
    }
    is_limited(&client.create(&session).await);
    let revoked = client.revoke(&session).await;
    assert_eq!(revoked.status, 200, "a revocation is never refused");
    assert_eq!(client.show(&session).await.status, 200, "reading goes on");
    let other = deployment.session().await;
    assert_eq!(client.create(&other).await.status, 201, "others go on");
}

/// Each portal link is a call with the Svix token that all accounts share.
#[tokio::test]
async fn a_key_opens_the_portal_no_more_than_thirty_times_a_minute() {
    let deployment = limited(&[("RATE_LIMIT_PORTAL", "")], 1).await;
    let client = &deployment.client;
    let mut keys = Vec::new();
    for _ in 0..2 {
        let session = deployment.session().await;
        keys.push(client.create(&session).await.text("api_key"));
        deployment.provisioned(&session, SOON).await;
    }
    for _ in 0..30 {
        assert_eq!(client.portal(&keys[0]).await.status, 200);
    }
    // A bucket of 30 fills by one in two seconds, in which a slow machine may answer one.
    let mut refused = client.portal(&keys[0]).await;
    for _ in 0..30 {
        if refused.status == 429 {
            break;
        }
        refused = client.portal(&keys[0]).await;
    }
    is_limited(&refused);
    assert_eq!(client.portal(&keys[1]).await.status, 200, "others go on");
}

async fn portal_from(client: &Client, key: &str, address: &str) -> Answer {
    let send = |request: reqwest::RequestBuilder| {
        let request = request.header(AUTHORIZATION, format!("Bearer {key}"));
        request.header("x-forwarded-for", address)
    };
    client.send(Method::GET, PORTAL_PATH, send).await
}

/// Guessing takes the database's time from others.
#[tokio::test]
async fn an_address_with_too_many_wrong_credentials_is_not_looked_up() {
    let limits = [
        ("RATE_LIMIT_FAILED_AUTH", "5/h"),
        ("TRUSTED_PROXIES", "127.0.0.1"),
    ];
    let deployment = limited(&limits, 0).await;
    let client = &deployment.client;
    let key = client.create(&deployment.session().await).await;
    let key = key.text("api_key");
    let wrong = unknown_key();
    let (guesser, other) = ("198.51.100.7", "198.51.100.8");
    for _ in 0..6 {
        let answer = portal_from(client, &wrong, guesser).await;
        answer.is_error(401, "unauthorized");
    }
    is_limited(&portal_from(client, &wrong, guesser).await);
    is_limited(&portal_from(client, &key, guesser).await);
    // The forged part of the header is before what the proxy has added.
    let forged = format!("{other}, {guesser}");
    is_limited(&portal_from(client, &key, &forged).await);
    portal_from(client, &key, other)
        .await
        .is_error(404, "not_found");
    // No credentials are no guess.
    for _ in 0..20 {
        let answer = client.send(Method::GET, KEY_PATH, |request| request).await;
        answer.is_error(401, "unauthorized");
    }
}

#[tokio::test]
async fn a_client_cannot_name_its_own_address() {
    let deployment = limited(&[("RATE_LIMIT_FAILED_AUTH", "5/h")], 0).await;
    let wrong = unknown_key();
    for i in 0..6 {
        let address = format!("198.51.100.{i}");
        let answer = portal_from(&deployment.client, &wrong, &address).await;
        answer.is_error(401, "unauthorized");
    }
    is_limited(&portal_from(&deployment.client, &wrong, "198.51.100.99").await);
}

/// All portal links were 502 for as long as Svix answered 429.
#[tokio::test]
async fn portal_links_wait_while_svix_asks_for_a_slower_pace() {
    let deployment = limited(&[], 1).await;
    let client = &deployment.client;
    let mut keys = Vec::new();
    for session in deployment.sessions(8).await {
        keys.push(client.create(&session).await.text("api_key"));
        deployment.provisioned(&session, SOON).await;
    }
    let too_many = Fault::RateLimited;
    deployment.svix.fault(Pattern::portal(), too_many).times(10);
    let opened = futures_util::future::join_all(keys.iter().map(|key| client.portal(key))).await;
    for answer in opened {
        assert_eq!(answer.status, 200);
    }
    assert_eq!(deployment.svix.calls(Route::Portal), 18);
}
