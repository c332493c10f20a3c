//! How long keys are kept, and when the provider is asked for them again.

use std::sync::Arc;
use std::time::Duration;

use api::auth::jwt::{NoAccount, Refusal};
use serde_json::json;
use tests::{IdentityProvider, Mood, SigningKey};

use super::{Verifier, claims};

/// Kept keys are used without asking for ten minutes: this long, and a little.
const NEARLY_MAX_AGE: Duration = Duration::from_secs(595);
/// A key that nobody knows is asked for every thirty seconds: this and a little.
const NEARLY_THE_PAUSE: Duration = Duration::from_secs(25);
/// The rest of both.
const A_LITTLE: Duration = Duration::from_secs(5);

const UNKNOWN: Result<String, NoAccount> = Err(NoAccount::Refused(Refusal::Key));

/// Tokens whose keys nobody has ever heard of, each of another.
fn made_up(count: usize) -> Vec<String> {
    let key = SigningKey::ed25519("made up");
    let tokens = (0..count).map(|i| {
        let header =
            json!({"alg": "EdDSA", "kid": format!("made-up-{i}-{}", rand::random::<u32>())});
        key.token_with(&header, &claims("jo"))
    });
    tokens.collect()
}

#[tokio::test]
async fn keys_are_fetched_once_and_used_until_they_are_old() {
    let key = SigningKey::es256("one");
    let provider = IdentityProvider::start(&[&key]).await;
    let verifier = Verifier::of(&provider.url());
    assert_eq!(provider.calls(), 0);
    for _ in 0..20 {
        assert!(verifier.takes(&key).await);
    }
    verifier.later(NEARLY_MAX_AGE);
    assert!(verifier.takes(&key).await);
    assert_eq!(provider.calls(), 1);
    verifier.later(A_LITTLE);
    assert!(verifier.takes(&key).await);
    assert!(verifier.takes(&key).await);
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn a_new_key_works_from_its_first_token_on() {
    let (old, new) = (SigningKey::es256("old"), SigningKey::rsa("new"));
    let provider = IdentityProvider::start(&[&old]).await;
    let verifier = Verifier::of(&provider.url());
    assert!(verifier.takes(&old).await);

    provider.publish(&[&old, &new]);
    assert!(verifier.takes(&new).await, "right after the first fetch");
    assert!(verifier.takes(&old).await);
    assert_eq!(provider.calls(), 2);

    // A key of the same name for another algorithm is no new key.
    let other = SigningKey::ed25519("old");
    assert!(!verifier.takes(&other).await);
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn a_withdrawn_key_is_refused_once_the_kept_ones_are_old() {
    let (old, new) = (SigningKey::es256("old"), SigningKey::ed25519("new"));
    let provider = IdentityProvider::start(&[&old]).await;
    let verifier = Verifier::of(&provider.url());
    assert!(verifier.takes(&old).await);

    provider.publish(&[&new]);
    verifier.later(NEARLY_MAX_AGE);
    assert!(verifier.takes(&old).await, "nobody knows yet");
    verifier.later(A_LITTLE);
    assert_eq!(verifier.account(&old.token(&claims("jo"))).await, UNKNOWN);
    assert!(verifier.takes(&new).await);
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn a_withdrawn_key_is_refused_as_soon_as_its_successor_was_seen() {
    let (old, new) = (SigningKey::es256("old"), SigningKey::es256("new"));
    let provider = IdentityProvider::start(&[&old]).await;
    let verifier = Verifier::of(&provider.url());
    assert!(verifier.takes(&old).await);
    provider.publish(&[&new]);
    assert!(verifier.takes(&new).await);
    assert_eq!(verifier.account(&old.token(&claims("jo"))).await, UNKNOWN);
}

#[tokio::test]
async fn a_flood_of_made_up_keys_causes_one_fetch_in_thirty_seconds() {
    let key = SigningKey::es256("one");
    let provider = IdentityProvider::start(&[&key]).await;
    let verifier = Verifier::of(&provider.url());
    assert!(verifier.takes(&key).await);
    for round in 0..4 {
        for token in made_up(100) {
            assert_eq!(verifier.account(&token).await, UNKNOWN);
        }
        assert!(verifier.takes(&key).await);
        verifier.later(NEARLY_THE_PAUSE);
        for token in made_up(20) {
            assert_eq!(verifier.account(&token).await, UNKNOWN);
        }
        assert_eq!(provider.calls(), 2 + round, "the first, and one a round");
        verifier.later(A_LITTLE);
    }
}

#[tokio::test]
async fn the_very_first_token_may_be_a_made_up_one_and_causes_one_fetch() {
    let key = SigningKey::es256("one");
    let provider = IdentityProvider::start(&[&key]).await;
    let verifier = Verifier::of(&provider.url());
    for token in made_up(50) {
        assert_eq!(verifier.account(&token).await, UNKNOWN);
    }
    assert!(verifier.takes(&key).await);
    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn tokens_that_come_at_once_share_one_fetch() {
    let (old, new) = (SigningKey::es256("old"), SigningKey::ed25519("new"));
    let provider = IdentityProvider::start(&[&old]).await;
    let verifier = Arc::new(Verifier::of(&provider.url()));

    // First with no keys at all, then with a key that is not among them.
    for (calls, key) in [(1, &old), (2, &new)] {
        provider.publish(&[&old, key]);
        provider.is(Mood::Waiting);
        let token = key.token(&claims("jo"));
        let tokens = made_up(50).into_iter().map(|made_up| (made_up, false));
        let tokens = tokens.chain((0..50).map(|_| (token.clone(), true)));
        let asked: Vec<_> = tokens
            .map(|(token, is_good)| {
                let verifier = Arc::clone(&verifier);
                tokio::spawn(async move { verifier.account(&token).await.is_ok() == is_good })
            })
            .collect();
        provider.called(calls).await;
        provider.is(Mood::Serving);
        for answer in asked {
            assert!(answer.await.unwrap());
        }
        assert_eq!(provider.calls(), calls);
        // The pause after a made-up key is over for the second turn.
        verifier.later(NEARLY_THE_PAUSE + A_LITTLE);
    }
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_end_the_fetch() {
    let key = SigningKey::es256("one");
    let provider = IdentityProvider::start(&[&key]).await;
    let verifier = Arc::new(Verifier::of(&provider.url()));
    provider.is(Mood::Waiting);
    let asking = Arc::clone(&verifier);
    let token = key.token(&claims("jo"));
    let asked = tokio::spawn(async move { asking.account(&token).await });
    provider.called(1).await;
    asked.abort();
    assert!(asked.await.unwrap_err().is_cancelled());

    provider.is(Mood::Serving);
    assert!(verifier.takes(&key).await);
    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn tokens_that_no_key_could_make_good_cause_no_fetch() {
    let key = SigningKey::es256("one");
    let provider = IdentityProvider::start(&[&key]).await;
    let verifier = Verifier::of(&provider.url());
    for header in [
        json!({"alg": "none", "kid": "one"}),
        json!({"alg": "HS256", "kid": "one"}),
        json!({"alg": "RS512", "kid": "one"}),
        json!({"alg": "ES256", "kid": "one", "crit": ["exp"]}),
        json!({"alg": "ES256", "kid": "one", "typ": "logout+jwt"}),
        json!({"alg": "ES256", "kid": 1}),
    ] {
        let token = key.token_with(&header, &claims("jo"));
        assert!(verifier.account(&token).await.is_err(), "{header}");
    }
    assert!(verifier.account("session_0123").await.is_err());
    assert_eq!(provider.calls(), 0);
}
