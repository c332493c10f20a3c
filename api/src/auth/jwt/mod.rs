//! Sessions as an identity provider signs them: JSON Web Tokens, RFC 7519.
//!
//! [`keys`] holds the provider's keys, [`claims`] says whom a token names and
//! for how long. Here is the order: which key, is it signed by it, what does it
//! say. The signature is the `jsonwebtoken` crate's work; the times are compared
//! here, with a clock that tests can set.

mod claims;
mod jwks;
mod keys;
mod provider;

use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use serde_json::{Map, Value};
use shared::clock::Clock;
use shared::config::JwtConfig;
use shared::ids::AccountId;
use shared::session::SessionToken;

use keys::{Keys, NoKey};
pub use provider::ProviderError;

/// What tokens may be signed with: public keys alone. With a shared secret
/// (HMAC) whoever can verify a session could make one, and the provider's
/// public key could be taken for the secret.
const ALGORITHMS: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

/// Verifies the session tokens of one identity provider.
pub struct JwtSessions {
    config: JwtConfig,
    keys: Keys,
    clock: Clock,
}

/// Why a token is no session. Says nothing of what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is no signed JWT, or one of another purpose.
    #[error("it is no JWT of a session")]
    Malformed,
    /// Not one of those that are taken.
    #[error("its algorithm is not RS256, ES256 or EdDSA")]
    Algorithm,
    /// The provider has no such key.
    #[error("its key is not one of the provider's")]
    Key,
    /// The key did not sign it.
    #[error("its signature is wrong")]
    Signature,
    /// `iss` is not the configured one.
    #[error("its `iss` is not SESSION_ISSUER")]
    Issuer,
    /// `aud` does not name us.
    #[error("its `aud` does not name SESSION_AUDIENCE")]
    Audience,
    /// `exp` has passed.
    #[error("its `exp` has passed, or is missing")]
    Expired,
    /// `nbf` is still to come.
    #[error("its `nbf` is still to come, or is no number")]
    NotYet,
    /// The account claim is no account id.
    #[error("SESSION_ACCOUNT_CLAIM is no text of 1 to 255 characters in it")]
    Account,
}

/// No account, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAccount {
    /// The token is no session.
    #[error("the token was refused: {0}")]
    Refused(#[from] Refusal),
    /// Nobody can tell: the provider does not give its keys.
    #[error("the provider's keys are not there")]
    Unavailable {
        /// When they will be asked for again.
        retry_after: Duration,
    },
}

impl JwtSessions {
    /// For this provider, which is not asked for anything yet.
    pub fn new(config: JwtConfig, clock: Clock) -> Result<Self, ProviderError> {
        let keys = Keys::new(&config.jwks_url, clock.clone())?;
        Ok(Self {
            config,
            keys,
            clock,
        })
    }

    /// Fetches the keys, in the background, if none are there.
    pub fn fetch_keys(&self) {
        self.keys.fetch();
    }

    /// Whether there are keys. If not, they are fetched in the background, once the
    /// pause after the last failure is over.
    pub fn has_keys(&self) -> bool {
        self.keys.fetch();
        self.keys.are_there()
    }

    /// The account that this token signs in to.
    pub async fn account(&self, token: &SessionToken) -> Result<AccountId, NoAccount> {
        let header = decode_header(token.expose()).map_err(|_| Refusal::Malformed)?;
        check_header(&header)?;
        let key = self.keys.find(header.kid.as_deref(), header.alg).await;
        let key = key.map_err(|no_key| match no_key {
            NoKey::Refused => NoAccount::Refused(Refusal::Key),
            NoKey::Unavailable { retry_after } => NoAccount::Unavailable { retry_after },
        })?;
        let claims = verified(token, &key, header.alg).ok_or(Refusal::Signature)?;
        Ok(claims::account(&claims, &self.config, self.clock.now())?)
    }
}

fn check_header(header: &Header) -> Result<(), Refusal> {
    if !ALGORITHMS.contains(&header.alg) {
        return Err(Refusal::Algorithm);
    }
    // `crit` names what must be understood, and nothing is. `typ` tells access
    // tokens (RFC 9068) from logout tokens and others of the same key.
    let typ = header.typ.as_deref().unwrap_or("JWT").to_ascii_lowercase();
    let typ = typ.strip_prefix("application/").unwrap_or(&typ);
    if header.crit.is_some() || !matches!(typ, "jwt" | "at+jwt") {
        return Err(Refusal::Malformed);
    }
    Ok(())
}

/// The claims, if this key signed them.
fn verified(
    token: &SessionToken,
    key: &DecodingKey,
    algorithm: Algorithm,
) -> Option<Map<String, Value>> {
    let mut signature_alone = Validation::new(algorithm);
    signature_alone.required_spec_claims.clear();
    signature_alone.validate_exp = false;
    signature_alone.validate_aud = false;
    // Its error may quote the token, so it ends here.
    let decoded = decode(token.expose(), key, &signature_alone).ok()?;
    Some(decoded.claims)
}
