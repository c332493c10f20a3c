use std::fmt;

use rand::{TryRng, rngs::SysRng};
use zeroize::Zeroizing;

use super::KeyPrefix;
use crate::secret_hash::SecretHash;

/// A partner's API key: `pk_live_` and 64 lowercase hex characters, 72 in all.
///
/// It is a secret: wiped from memory when dropped, without `Clone`, `Display`
/// or serialization, and `Debug` shows the prefix alone. Only its [`SecretHash`]
/// is ever stored.
pub struct PartnerKey(Zeroizing<String>);

/// The text is not a partner key. It deliberately carries nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a partner key: expected `pk_live_` and 64 lowercase hex characters")]
pub struct InvalidPartnerKey;

impl PartnerKey {
    /// What every key begins with.
    pub const PREFIX: &str = "pk_live_";
    /// Random bytes in a key: 256 bits, as much as its SHA-256 keeps.
    const RANDOM_BYTES: usize = 32;
    /// Characters in a key: 8 of prefix and two for each random byte.
    pub const LENGTH: usize = Self::PREFIX.len() + 2 * Self::RANDOM_BYTES;

    /// Makes a key from the operating system's random generator.
    ///
    /// Fails only if the operating system has no randomness to give.
    pub fn generate() -> Result<Self, rand::rngs::SysError> {
        let mut random = Zeroizing::new([0_u8; Self::RANDOM_BYTES]);
        SysRng.try_fill_bytes(random.as_mut())?;

        // The exact capacity, so that no growth leaves a copy behind.
        let mut text = Zeroizing::new(String::with_capacity(Self::LENGTH));
        text.push_str(Self::PREFIX);
        text.push_str(&Zeroizing::new(hex::encode(random.as_ref())));
        Ok(Self(text))
    }

    /// Takes a key that a client presented, exactly as it was presented.
    pub fn parse(text: &str) -> Result<Self, InvalidPartnerKey> {
        let secret = text.strip_prefix(Self::PREFIX).ok_or(InvalidPartnerKey)?;
        let is_lowercase_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() == Self::LENGTH && secret.bytes().all(is_lowercase_hex) {
            Ok(Self(Zeroizing::new(text.to_owned())))
        } else {
            Err(InvalidPartnerKey)
        }
    }

    /// SHA-256 of the whole key: what is stored and looked up.
    ///
    /// A fast hash is right here: 256 random bits cannot be guessed, so there
    /// is nothing for a slow one to slow down.
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(self.0.as_bytes())
    }

    /// The part that may be shown, stored and logged.
    pub fn prefix(&self) -> KeyPrefix {
        KeyPrefix::of(&self.0)
    }

    /// The key in the clear. For the one answer that shows it, and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
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
    fn a_generated_key_is_72_characters_that_parse_and_never_repeats() {
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
    fn what_is_malformed_is_refused() {
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
    fn debug_shows_the_prefix_alone() {
        let shown = format!("{:?}", PartnerKey::parse(KEY).unwrap());
        assert_eq!(shown, "PartnerKey(pk_live_0123456789abcdef…)");
    }
}
