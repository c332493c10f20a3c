//! Sessions as an identity provider signs them: which tokens name an account,
//! and what becomes of that when the provider rotates its keys, is slow or down.

mod kept_keys;
mod outage;
mod providers;
mod refused;
mod served;
mod wrong_settings;

use std::time::Duration;

use api::auth::jwt::{JwtSessions, NoAccount};
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::config::JwtConfig;
use shared::session::SessionToken;
use tests::{Deployment, IdentityProvider, Plan, SigningKey};

const ISSUER: &str = "https://id.example.com/";
const AUDIENCE: &str = "partner-keys";

/// Now, as tokens have it.
fn now() -> i64 {
    Clock::system().now().as_micros() / 1_000_000
}

/// What a good token of this account says.
fn claims(account: &str) -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": account, "exp": now() + 86_400})
}

/// The same, but for these; null takes one out.
fn claims_with(changes: &Value) -> Value {
    let mut claims = claims("jo");
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
        .as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    claims
}

/// The settings by which a process takes this provider's tokens.
fn settings(provider: &IdentityProvider) -> Vec<(&'static str, String)> {
    vec![
        ("SESSION_MODE", "jwt".into()),
        ("SESSION_JWKS_URL", provider.url()),
        ("SESSION_ISSUER", ISSUER.into()),
        ("SESSION_AUDIENCE", AUDIENCE.into()),
        ("DEMO", "off".into()),
    ]
}

/// `api` on PostgreSQL and Redis, with these settings, and so many workers.
async fn deployed(env: Vec<(&'static str, String)>, workers: usize) -> Deployment {
    Deployment::planned(Plan {
        env,
        workers,
        ..Plan::default()
    })
    .await
}

/// The verifier in this process, so that the test can set its clock.
struct Verifier {
    sessions: JwtSessions,
    clock: Clock,
}

impl Verifier {
    fn of(url: &str) -> Self {
        shared::runtime::init();
        let clock = Clock::system();
        let config = JwtConfig {
            jwks_url: url.parse().unwrap(),
            issuer: ISSUER.into(),
            audience: AUDIENCE.into(),
            account_claim: "sub".into(),
            jwks_max_stale: Duration::from_hours(24),
            max_lifetime: Duration::from_hours(24),
        };
        let sessions = JwtSessions::new(config, clock.clone()).unwrap();
        Self { sessions, clock }
    }

    /// The account that a token names.
    async fn account(&self, token: &str) -> Result<String, NoAccount> {
        let token = SessionToken::parse(token).unwrap();
        let account = self.sessions.find(&token).await?.account;
        Ok(account.as_str().to_owned())
    }

    async fn takes(&self, key: &SigningKey) -> bool {
        self.account(&key.token(&claims("jo"))).await.is_ok()
    }

    fn later(&self, by: Duration) {
        self.clock.advance(by);
    }
}
