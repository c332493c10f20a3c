//! A provider that is down, slow or talks nonsense: what was known goes on, what
//! cannot be known is 503, and nobody waits for long.

use std::time::{Duration, Instant};

use api::auth::jwt::NoAccount;
use serde_json::json;
use tests::process::free_port;
use tests::{Deployment, IdentityProvider, Mood, SigningKey, eventually};

use super::{Verifier, claims, deployed, settings};

const SECOND: Duration = Duration::from_secs(1);
/// How long somebody may have to wait for a provider that does not answer.
const PATIENCE: Duration = Duration::from_secs(30);

fn retry_after(account: &Result<String, NoAccount>) -> Duration {
    match account {
        Err(NoAccount::Unavailable { retry_after }) => *retry_after,
        other => panic!("not unavailable: {other:?}"),
    }
}

/// What a provider may answer that is no good.
fn no_good(elsewhere: &IdentityProvider, key: &SigningKey) -> Vec<Mood> {
    let huge = json!({"keys": [key.jwk()], "more": "a".repeat(300_000)}).to_string();
    vec![
        Mood::Closing,
        Mood::CutOff,
        Mood::With("500 Internal Server Error\r\n"),
        Mood::With("404 Not Found\r\n"),
        Mood::With("204 No Content\r\n"),
        Mood::SendingTo(elsewhere.url()),
        Mood::Saying("<html>".into()),
        Mood::Saying(r#"{"keys":{}}"#.into()),
        Mood::Saying(huge),
    ]
}

#[tokio::test]
async fn an_outage_does_not_take_the_keys_away() {
    let key = SigningKey::es256("one");
    let provider = IdentityProvider::start(&[&key]).await;
    let elsewhere = IdentityProvider::start(&[&key]).await;
    let verifier = Verifier::of(&provider.url());
    assert!(verifier.takes(&key).await);
    let unknown = SigningKey::es256("two").token(&claims("jo"));
    for mood in no_good(&elsewhere, &key) {
        let what = format!("{mood:?}").chars().take(80).collect::<String>();
        provider.is(mood);
        verifier.later(Duration::from_hours(1));
        let calls = provider.calls();
        assert!(verifier.takes(&key).await, "{what}");
        provider.called(calls + 1).await;
        retry_after(&verifier.account(&unknown).await); // waits for the fetch
        assert_eq!(provider.calls(), calls + 1, "{what}");
    }
    assert_eq!(elsewhere.calls(), 0, "nobody is sent elsewhere");
}

#[tokio::test]
async fn a_provider_that_failed_is_left_alone_for_thirty_seconds() {
    let (old, new) = (SigningKey::es256("old"), SigningKey::es256("new"));
    let provider = IdentityProvider::start(&[&old]).await;
    let verifier = Verifier::of(&provider.url());
    assert!(verifier.takes(&old).await);

    provider.is(Mood::Closing);
    let unknown = || async { verifier.account(&new.token(&claims("jo"))).await };
    assert!(
        retry_after(&unknown().await) > 25 * SECOND,
        "it cannot be told"
    );
    verifier.later(Duration::from_mins(10));
    for _ in 0..3 {
        let calls = provider.calls();
        assert!(verifier.takes(&old).await); // nobody waits: it is known to be down
        provider.called(calls + 1).await;
        let failed = || async { retry_after(&unknown().await) };
        eventually("its failure is known", PATIENCE, failed, |after| {
            *after > 25 * SECOND
        })
        .await;
        verifier.later(20 * SECOND);
        for _ in 0..20 {
            assert!(verifier.takes(&old).await);
            assert!(retry_after(&unknown().await) <= 10 * SECOND);
        }
        assert_eq!(provider.calls(), calls + 1);
        verifier.later(10 * SECOND);
    }

    provider.is(Mood::Serving);
    provider.publish(&[&new]);
    assert!(verifier.takes(&new).await, "it is back");
    assert!(!verifier.takes(&old).await);
}

#[tokio::test]
async fn without_any_keys_it_is_unavailable_and_asked_again_after_five_seconds() {
    let key = SigningKey::es256("one");
    let provider = IdentityProvider::start(&[&key]).await;
    let elsewhere = IdentityProvider::start(&[&key]).await;
    for mood in no_good(&elsewhere, &key) {
        let verifier = Verifier::of(&provider.url());
        provider.is(mood);
        let (token, calls) = (key.token(&claims("jo")), provider.calls());
        for _ in 0..20 {
            let after = retry_after(&verifier.account(&token).await);
            assert!(after > SECOND && after <= 5 * SECOND, "{after:?}");
        }
        assert_eq!(provider.calls(), calls + 1);
        provider.is(Mood::Serving);
        verifier.later(5 * SECOND);
        assert!(verifier.takes(&key).await);
    }
    assert_eq!(elsewhere.calls(), 0);
}

#[tokio::test]
async fn a_slow_provider_is_waited_for_once_and_not_for_long() {
    let key = SigningKey::es256("one");
    let provider = IdentityProvider::start(&[&key]).await;
    for mood in [Mood::Waiting, Mood::Trickling] {
        provider.is(mood.clone());
        let verifier = Verifier::of(&provider.url());
        let token = key.token(&claims("jo"));
        let started = Instant::now();
        let (one, two) = tokio::join!(verifier.account(&token), verifier.account(&token));
        assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
        assert!(retry_after(&one) <= 5 * SECOND && retry_after(&two) <= 5 * SECOND);

        provider.is(Mood::Serving);
        verifier.later(5 * SECOND);
        assert!(verifier.takes(&key).await);
        provider.is(mood);
        verifier.later(Duration::from_mins(10));
        let started = Instant::now();
        assert!(verifier.takes(&key).await, "the kept keys, after a while");
        assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
        // From now on it is known, and asked while nobody waits.
        verifier.later(30 * SECOND);
        let calls = provider.calls();
        let started = Instant::now();
        assert!(verifier.takes(&key).await);
        // A request that waited for the provider would take 4 s, its time limit.
        assert!(started.elapsed() < 4 * SECOND, "{:?}", started.elapsed());
        provider.called(calls + 1).await;
    }
}

/// What the api says while nobody can tell who is signed in.
async fn is_unavailable(deployment: &Deployment, token: &str) {
    let answer = deployment.client.create(token).await;
    answer.is_error(503, "unavailable");
    let after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=5).contains(&after), "{after}");
    assert!(!answer.text.contains("127.0.0.1"), "{answer:?}");
}

#[tokio::test]
async fn an_api_that_never_reached_the_provider_is_unavailable_until_it_does() {
    let key = SigningKey::rsa("one");
    let port = free_port();
    let gone = IdentityProvider::start(&[&key]).await;
    let mut env = settings(&gone);
    env[1].1 = format!("http://127.0.0.1:{port}/jwks");
    let mut deployment = deployed(env, 0).await;
    let token = key.token(&claims("jo"));
    is_unavailable(&deployment, &token).await;
    let line = deployment.server.logged("keys could not be fetched").await;
    assert!(line.contains("refused") && line.contains("WARN"), "{line}");
    // What is no token of anybody's is told so all the same.
    deployment
        .client
        .show("x")
        .await
        .is_error(401, "unauthorized");
    assert_eq!(deployment.probe("/healthz").await.0, 200);
    let degraded = json!({"status": "degraded", "missing": ["identity_provider"]});
    assert_eq!(deployment.probe("/readyz").await, (200, degraded));

    // The probe alone has it fetch the keys, before anybody wants to sign in.
    let _provider = IdentityProvider::start_at(port, &[&key]).await;
    let ready = (200, json!({"status": "ready", "missing": []}));
    let probe = || deployment.probe("/readyz");
    eventually("it is ready", 10 * SECOND, probe, |seen| *seen == ready).await;
    let created = || async { deployment.client.create(&token).await.status.as_u16() };
    eventually("it is reached", 10 * SECOND, created, |status| {
        *status == 201
    })
    .await;
}

#[tokio::test]
async fn an_api_goes_on_while_the_provider_is_down_and_does_not_wait_long_for_a_slow_one() {
    let (key, other) = (SigningKey::rsa("one"), SigningKey::es256("two"));
    let provider = IdentityProvider::start(&[&key]).await;
    let deployment = deployed(settings(&provider), 0).await;
    let token = key.token(&claims("jo"));
    assert_eq!(deployment.client.create(&token).await.status, 201);

    provider.is(Mood::Waiting);
    let started = Instant::now();
    let unknown = other.token(&claims("jo"));
    let answer = deployment.client.show(&unknown).await;
    answer.is_error(503, "unavailable");
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
    drop(provider);
    for _ in 0..20 {
        assert_eq!(deployment.client.show(&token).await.status, 200);
    }
}
