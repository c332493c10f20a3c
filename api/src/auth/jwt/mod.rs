//! Sessions signed by an identity provider: JSON Web Tokens, RFC 7519.
//!
//! A token is verified in this order: find its key ([`jwks`]), verify the
//! signature, check the claims ([`claims`]). The `jsonwebtoken` crate verifies the
//! signature. The times are compared here, with a clock that tests can set.

mod claims;
mod jwks;

use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use serde_json::{Map, Value};
use shared::clock::Clock;
use shared::config::JwtConfig;
use shared::session::SessionToken;
use url::Url;

use super::Session;
use crate::published_keys::{self, ClientError, FetchError, NoKey, PublishedKeys};
use jwks::Jwks;

/// The accepted algorithms: those with public keys. With a shared secret (HMAC),
/// everybody who can verify a session could make one, and an attacker could use
/// the provider's public key as the secret.
const ALGORITHMS: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

/// Verifies the session tokens of one identity provider.
pub struct JwtSessions {
    config: JwtConfig,
    keys: PublishedKeys<Jwks>,
    clock: Clock,
}

/// The reason why a token is no session. It contains nothing of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The token is not a signed JWT, or a JWT for another purpose.
    #[error("it is not a signed JWT for a session")]
    Malformed,
    /// The algorithm is not accepted.
    #[error("its algorithm is not RS256, ES256 or EdDSA")]
    Algorithm,
    /// The provider has no suitable key.
    #[error("its key is not one of the provider's")]
    Key,
    /// The key did not sign the token.
    #[error("its signature is invalid")]
    Signature,
    /// `iss` is not the configured issuer.
    #[error("its `iss` is not SESSION_ISSUER")]
    Issuer,
    /// `aud` does not contain the configured audience.
    #[error("its `aud` does not contain SESSION_AUDIENCE")]
    Audience,
    /// `exp` has passed, or is missing or not a number.
    #[error("its `exp` has passed, or is missing or not a number")]
    Expired,
    /// `nbf` is in the future, or not a number.
    #[error("its `nbf` is in the future, or not a number")]
    NotYet,
    /// `iat` is in the future, or not a number.
    #[error("its `iat` is in the future, or not a number")]
    IssuedLater,
    /// `exp` is too long after `iat`.
    #[error("it lives longer than SESSION_MAX_LIFETIME")]
    LivesTooLong,
    /// The token is for a caller that proves to have a key of its own (`cnf`).
    #[error("it is bound to a key of its holder (`cnf`), which is not checked here")]
    Bound,
    /// The token tells of events, such as a logout (RFC 8417).
    #[error("it is a message about events, not a session")]
    Message,
    /// The account claim is missing or is not an account id.
    #[error("the claim SESSION_ACCOUNT_CLAIM is missing or is not a string of 1 to 255 characters")]
    Account,
}

/// The reason why a token leads to no account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAccount {
    /// The token is not a session.
    #[error("the token was refused: {0}")]
    Refused(#[from] Refusal),
    /// The token cannot be verified: the provider's keys are not available.
    #[error("the provider's keys are not available")]
    Unavailable {
        /// The time until they are fetched again.
        retry_after: Duration,
    },
}

impl JwtSessions {
    /// Creates a verifier for this provider. It fetches nothing yet.
    pub fn new(config: JwtConfig, clock: Clock) -> Result<Self, ClientError> {
        let url = &config.jwks_url;
        let keys = PublishedKeys::new(url, config.jwks_max_stale, clock.clone())?;
        Ok(Self {
            config,
            keys,
            clock,
        })
    }

    /// Starts to fetch the keys in the background, if there are none.
    pub fn fetch_keys(&self) {
        self.keys.refresh();
    }

    /// Returns whether there are keys. If there are none, it starts to fetch them in
    /// the background, unless the pause after the last failure is not over.
    pub fn has_keys(&self) -> bool {
        self.keys.refresh();
        self.keys.has_any()
    }

    /// Returns the session that the token is.
    pub async fn find(&self, token: &SessionToken) -> Result<Session, NoAccount> {
        let header = decode_header(token.expose()).map_err(|_| Refusal::Malformed)?;
        check_header(&header)?;
        let key = self.keys.find((header.kid.as_deref(), header.alg)).await;
        let key = key.map_err(|no_key| match no_key {
            NoKey::Refused => NoAccount::Refused(Refusal::Key),
            NoKey::Unavailable { retry_after } => NoAccount::Unavailable { retry_after },
        })?;
        let claims = verify_signature(token, &key, header.alg).ok_or(Refusal::Signature)?;
        let account = claims::account(&claims, &self.config, self.clock.now())?;
        let id = claims::token_id(&claims);
        Ok(Session { account, id })
    }
}

/// Fetches the keys at `url` once. Returns how many of them can sign sessions.
pub async fn provider_keys(url: &Url) -> Result<usize, FetchError> {
    published_keys::count::<Jwks>(url).await
}

fn check_header(header: &Header) -> Result<(), Refusal> {
    if !ALGORITHMS.contains(&header.alg) {
        return Err(Refusal::Algorithm);
    }
    // `crit` lists extensions that must be supported; none is. `typ` tells access
    // tokens (RFC 9068) from logout tokens and others that the same key signs.
    let typ = header.typ.as_deref().unwrap_or("JWT").to_ascii_lowercase();
    let typ = typ.strip_prefix("application/").unwrap_or(&typ);
    if header.crit.is_some() || !matches!(typ, "jwt" | "at+jwt") {
        return Err(Refusal::Malformed);
    }
    Ok(())
}

/// Returns the claims, if this key signed them.
fn verify_signature(
    token: &SessionToken,
    key: &DecodingKey,
    algorithm: Algorithm,
) -> Option<Map<String, Value>> {
    let mut signature_only = Validation::new(algorithm);
    signature_only.required_spec_claims.clear();
    signature_only.validate_exp = false;
    signature_only.validate_aud = false;
    // The error may quote the token, so it is dropped.
    let decoded = decode(token.expose(), key, &signature_only).ok()?;
    Some(decoded.claims)
}

/// Exposes private functions of this module to `crate::fuzz`.
#[cfg(test)]
pub(crate) mod fuzz {
    use serde_json::{Value, json};
    use shared::clock::Timestamp;
    use shared::config::JwtConfig;

    use super::{Duration, claims, jwks::Jwks};
    use crate::published_keys::KeySet;

    /// Reads a key set, which must not panic.
    pub fn parse_key_set(document: &[u8]) {
        let _ = Jwks::parse(document);
    }

    /// Returns the account and the id of good claims with this change.
    pub fn session_of_claims(
        name: &str,
        value: Option<&Value>,
    ) -> Option<(String, Option<String>)> {
        let config = JwtConfig {
            jwks_url: "https://id.example.com/keys".parse().ok()?,
            issuer: "https://id.example.com/".into(),
            audience: "keys".into(),
            account_claim: "sub".into(),
            jwks_max_stale: Duration::from_hours(24),
            max_lifetime: Duration::from_hours(24),
        };
        let mut all = json!({
            "iss": "https://id.example.com/", "aud": "keys", "sub": "jo", "exp": 1_800_000_060,
        });
        if let Some(value) = value {
            all[name] = value.clone();
        }
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        let all = all.as_object()?;
        let account = claims::account(all, &config, now).ok()?;
        Some((account.as_str().to_owned(), claims::token_id(all)))
    }
}
