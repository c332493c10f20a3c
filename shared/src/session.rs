//! The session token, which identifies the account that is signed in.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use crate::random_secret;
use crate::secret_hash::SecretHash;

/// A session token, sent in the session cookie or as a Bearer token.
///
/// The platform's login may use any opaque text, of which only the SHA-256 is
/// stored. An identity provider issues signed tokens, of which nothing is stored.
/// It is a secret: it is wiped from memory when dropped, and `Debug` shows nothing
/// of it.
pub struct SessionToken(SecretString);

/// The text cannot be a session token. The error contains nothing of the text,
/// which may be another secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a session token: expected 1 to 8192 printable ASCII characters without spaces")]
pub struct InvalidSessionToken;

impl SessionToken {
    /// The length of the longest accepted token, in bytes. Identity providers put
    /// roles and groups into their tokens. Some reach 8 kB, from where on proxies
    /// refuse the header. The limit of browsers for a cookie is half as much.
    pub const MAX_LENGTH: usize = 8192;

    /// Generates a token with the operating system's random generator: `session_`
    /// and 64 hex characters.
    ///
    /// Fails only if the operating system cannot provide random bytes.
    pub fn generate() -> Result<Self, rand::rngs::SysError> {
        random_secret::generate("session_").map(Self)
    }

    /// Parses a token that a client sent: printable ASCII without spaces, as
    /// cookies and Bearer tokens allow. A text that starts with `pk_` is refused: it
    /// is a partner key in the wrong place.
    pub fn parse(text: &str) -> Result<Self, InvalidSessionToken> {
        let is_key = text.starts_with("pk_");
        let fits = (1..=Self::MAX_LENGTH).contains(&text.len());
        if fits && !is_key && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(SecretString::from(text)))
        } else {
            Err(InvalidSessionToken)
        }
    }

    /// Returns the SHA-256 of the token, by which a session is stored and found.
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(self.expose().as_bytes())
    }

    /// Returns the token in the clear, only to issue or verify it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_tokens_are_valid_and_differ() {
        let token = SessionToken::generate().unwrap();
        assert_eq!(
            SessionToken::parse(token.expose()).unwrap().hash(),
            token.hash()
        );
        assert_ne!(SessionToken::generate().unwrap().hash(), token.hash());
    }

    #[test]
    fn partner_keys_and_texts_that_no_cookie_can_contain_are_refused() {
        let huge = "a".repeat(SessionToken::MAX_LENGTH + 1);
        assert!(SessionToken::parse(&huge[1..]).is_ok());
        for bad in ["", "pk_live_abc", "pk_", "a b", "é", "a\nb", &huge] {
            assert!(SessionToken::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let shown = format!("{:?}", SessionToken::parse("hunter2").unwrap());
        assert_eq!(shown, "SessionToken(…)");
    }
}
