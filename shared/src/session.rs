//! The session token by which the dashboard's login names an account.

use std::fmt;

use rand::{TryRng, rngs::SysRng};
use zeroize::Zeroizing;

use crate::secret_hash::SecretHash;

/// A session token, as presented in the cookie or as Bearer.
///
/// The login may use any opaque text, of which only the SHA-256 is stored; an
/// identity provider's is a signed token, of which nothing is stored. It is a
/// secret: wiped when dropped, and `Debug` shows nothing of it.
pub struct SessionToken(Zeroizing<String>);

/// The text cannot be a session token. It carries nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a session token")]
pub struct InvalidSessionToken;

impl SessionToken {
    /// The longest token that is looked at, in bytes. Identity providers put
    /// roles and groups into theirs, some of which reach 8 kB, where proxies
    /// begin to refuse the header. Of a cookie browsers keep half as much.
    pub const MAX_LENGTH: usize = 8192;

    /// Makes a token: `session_` and 64 hex characters from the operating
    /// system's random generator.
    ///
    /// Fails only if the operating system has no randomness to give.
    pub fn generate() -> Result<Self, rand::rngs::SysError> {
        let mut random = Zeroizing::new([0_u8; 32]);
        SysRng.try_fill_bytes(random.as_mut())?;
        let secret = Zeroizing::new(hex::encode(random.as_ref()));
        Ok(Self(Zeroizing::new(format!("session_{}", *secret))))
    }

    /// Takes a token that a client presented. Printable ASCII without spaces,
    /// as cookies and Bearer allow; what begins with `pk_` is a partner key in
    /// the wrong place, never a session.
    pub fn parse(text: &str) -> Result<Self, InvalidSessionToken> {
        let is_key = text.starts_with("pk_");
        let fits = (1..=Self::MAX_LENGTH).contains(&text.len());
        if fits && !is_key && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(Zeroizing::new(text.to_owned())))
        } else {
            Err(InvalidSessionToken)
        }
    }

    /// What is stored and looked up.
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(self.0.as_bytes())
    }

    /// The token in the clear, for the one place that hands it out.
    pub fn expose(&self) -> &str {
        &self.0
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
    fn a_generated_token_parses_and_never_repeats() {
        let token = SessionToken::generate().unwrap();
        assert_eq!(
            SessionToken::parse(token.expose()).unwrap().hash(),
            token.hash()
        );
        assert_ne!(SessionToken::generate().unwrap().hash(), token.hash());
    }

    #[test]
    fn partner_keys_and_what_no_cookie_can_hold_are_refused() {
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
