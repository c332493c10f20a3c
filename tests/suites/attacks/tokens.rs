//! Tokens of an identity provider that are not, or no longer, sessions.

use std::time::Duration;

use api::auth::jwt::JwtSessions;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::config::JwtConfig;
use shared::session::SessionToken;
use tests::{IdentityProvider, Mood, SigningKey};

const DAY: i64 = 24 * 60 * 60;

struct Verifier {
    sessions: JwtSessions,
    clock: Clock,
}

impl Verifier {
    fn of(provider: &IdentityProvider) -> Self {
        shared::runtime::init();
        let clock = Clock::system();
        let config = JwtConfig {
            jwks_url: provider.url().parse().unwrap(),
            issuer: "https://id.example.com/".into(),
            audience: "partner-keys".into(),
            account_claim: "sub".into(),
            jwks_max_stale: Duration::from_hours(24),
            max_lifetime: Duration::from_hours(24),
        };
        let sessions = JwtSessions::new(config, clock.clone()).unwrap();
        Self { sessions, clock }
    }

    async fn accepts(&self, key: &SigningKey, changes: &[(&str, Value)]) -> bool {
        let now = self.clock.now().as_micros() / 1_000_000;
        let mut claims = json!({
            "iss": "https://id.example.com/", "aud": "partner-keys", "sub": "jo",
            "iat": now, "exp": now + 3600,
        });
        for (name, value) in changes {
            claims[*name] = value.clone();
        }
        let token = SessionToken::parse(&key.token(&claims)).unwrap();
        self.sessions.find(&token).await.is_ok()
    }
}

#[tokio::test]
async fn tokens_without_end_of_the_future_bound_or_of_another_kind_are_refused() {
    let key = SigningKey::es256("one");
    let provider = IdentityProvider::start(&[&key]).await;
    let verifier = Verifier::of(&provider);
    assert!(verifier.accepts(&key, &[]).await);
    let now = Clock::system().now().as_micros() / 1_000_000;
    for (claim, value) in [
        ("exp", json!(now + 100 * 365 * DAY)),
        ("exp", json!(now + DAY + 120)),
        ("iat", json!(now + 600)),
        (
            "cnf",
            json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}),
        ),
        (
            "events",
            json!({"http://schemas.openid.net/event/backchannel-logout": {}}),
        ),
    ] {
        let changes = [(claim, value)];
        assert!(!verifier.accepts(&key, &changes).await, "{changes:?}");
    }
}

/// The provider has withdrawn all its keys, for instance because they were stolen.
#[tokio::test]
async fn an_emptied_key_set_is_believed_at_once() {
    let key = SigningKey::es256("one");
    let provider = IdentityProvider::start(&[&key]).await;
    let verifier = Verifier::of(&provider);
    assert!(verifier.accepts(&key, &[]).await);
    provider.publish(&[]);
    verifier.clock.advance(Duration::from_mins(11)); // the keys are fetched again
    assert!(!verifier.accepts(&key, &[]).await);
    provider.is(Mood::Closing);
    verifier.clock.advance(Duration::from_mins(11));
    assert!(
        !verifier.accepts(&key, &[]).await,
        "an outage does not bring them back"
    );
}

#[tokio::test]
async fn keys_that_nobody_could_renew_for_a_day_are_not_used_any_more() {
    let key = SigningKey::es256("one");
    let provider = IdentityProvider::start(&[&key]).await;
    let verifier = Verifier::of(&provider);
    assert!(verifier.accepts(&key, &[]).await);
    provider.is(Mood::Closing);
    verifier.clock.advance(Duration::from_hours(23));
    assert!(
        verifier.accepts(&key, &[]).await,
        "an outage signs nobody out"
    );
    verifier.clock.advance(Duration::from_mins(61));
    assert!(!verifier.accepts(&key, &[]).await);
    provider.publish(&[&key]);
    provider.is(Mood::Serving);
    verifier.clock.advance(Duration::from_mins(1));
    assert!(verifier.accepts(&key, &[]).await);
}
