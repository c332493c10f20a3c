use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use super::{KeyPrefix, is_lowercase_hex};
use crate::random_secret::{self, RANDOM_BYTES};
use crate::secret_hash::SecretHash;

/// A partner's API key: `pk_live_` and 64 lowercase hex characters, 72 in all.
///
/// It is a secret. It is wiped from memory when dropped, it has no `Clone`,
/// `Display` or serialization, and `Debug` shows only the prefix. Only its
/// [`SecretHash`] is stored.
pub struct PartnerKey(SecretString);

/// The text is not a partner key. The error contains nothing of the text, which
/// may be another secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a partner key: expected `pk_live_` and 64 lowercase hex characters")]
pub struct InvalidPartnerKey;

impl PartnerKey {
    /// The beginning of every key.
    pub const PREFIX: &str = "pk_live_";
    /// The number of characters in a key: the prefix, and two for each random byte.
    pub const LENGTH: usize = Self::PREFIX.len() + 2 * RANDOM_BYTES;

    /// Generates a key with the operating system's random generator.
    ///
    /// Fails only if the operating system cannot provide random bytes.
    pub fn generate() -> Result<Self, rand::rngs::SysError> {
        random_secret::generate(Self::PREFIX).map(Self)
    }

    /// Parses a key that a client sent. Spaces or capital letters make it invalid.
    pub fn parse(text: &str) -> Result<Self, InvalidPartnerKey> {
        let secret = text.strip_prefix(Self::PREFIX).ok_or(InvalidPartnerKey)?;
        if text.len() == Self::LENGTH && is_lowercase_hex(secret) {
            Ok(Self(SecretString::from(text)))
        } else {
            Err(InvalidPartnerKey)
        }
    }

    /// Returns the SHA-256 of the whole key, by which the key is stored and found.
    ///
    /// A slow hash is not needed: it protects secrets that can be guessed, and 256
    /// random bits cannot.
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(self.expose().as_bytes())
    }

    /// Returns the part that may be shown, stored and logged.
    pub fn prefix(&self) -> KeyPrefix {
        KeyPrefix::of(self.expose())
    }

    /// Returns the key in the clear, only for the one response that shows it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for PartnerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartnerKey({}…)", self.prefix())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "pk_live_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn generated_keys_have_72_characters_are_valid_and_differ() {
        let key = PartnerKey::generate().unwrap();
        assert_eq!(key.expose().len(), 72);
        assert_eq!(PartnerKey::parse(key.expose()).unwrap().hash(), key.hash());
        assert_ne!(PartnerKey::generate().unwrap().hash(), key.hash());
    }

    #[test]
    fn the_hash_is_sha256_of_the_whole_key() {
        // printf %s "$KEY" | sha256sum
        assert_eq!(
            hex::encode(PartnerKey::parse(KEY).unwrap().hash().as_bytes()),
            "126428cdc7be5f4d811b87845d735e31b78c0f2af0863e33f99a8c068a051eb0"
        );
    }

    #[test]
    fn the_prefix_is_the_first_24_characters() {
        assert_eq!(
            PartnerKey::parse(KEY).unwrap().prefix().as_str(),
            "pk_live_0123456789abcdef"
        );
    }

    #[test]
    fn malformed_keys_are_refused() {
        let upper = KEY.to_uppercase();
        let upper_hex = KEY.replace('a', "A");
        let not_hex = KEY.replace('f', "g");
        let test_key = KEY.replace("live", "test");
        let accented = format!("{}é", &KEY[..70]);
        let huge = format!("pk_live_{}", "a".repeat(10_000));
        for bad in [
            "",
            "pk_live_",
            &KEY[..71],
            &KEY[8..],
            &upper,
            &upper_hex,
            &not_hex,
            &test_key,
            &accented,
            &huge,
            &format!("{KEY}0"),
            &format!(" {KEY}"),
            &format!("{KEY}\n"),
        ] {
            assert_eq!(
                PartnerKey::parse(bad).err(),
                Some(InvalidPartnerKey),
                "{bad}"
            );
        }
    }

    #[test]
    fn debug_shows_only_the_prefix() {
        let shown = format!("{:?}", PartnerKey::parse(KEY).unwrap());
        assert_eq!(shown, "PartnerKey(pk_live_0123456789abcdef…)");
    }
}
