use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::{PartnerKey, is_lowercase_hex};

/// The first 24 characters of a key: `pk_live_` and 16 hex characters.
///
/// It identifies a key to people, and may be logged, shown and stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::Type)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct KeyPrefix(String);

impl KeyPrefix {
    /// The number of characters. They reveal 64 of the key's 256 random bits; the
    /// other 192 bits cannot be guessed.
    pub const LENGTH: usize = 24;

    /// Returns the prefix of a valid key.
    pub(super) fn of(key: &str) -> Self {
        Self(key.chars().take(Self::LENGTH).collect())
    }

    /// Returns the prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text is not a key's prefix. The error contains nothing of the text, which may be
/// a whole key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected the first 24 characters of a key: `pk_live_` and 16 lowercase hex characters")]
pub struct InvalidKeyPrefix;

impl FromStr for KeyPrefix {
    type Err = InvalidKeyPrefix;

    fn from_str(text: &str) -> Result<Self, InvalidKeyPrefix> {
        let hex = text
            .strip_prefix(PartnerKey::PREFIX)
            .ok_or(InvalidKeyPrefix)?;
        let is_valid = text.len() == Self::LENGTH && is_lowercase_hex(hex);
        is_valid
            .then(|| Self(text.to_owned()))
            .ok_or(InvalidKeyPrefix)
    }
}

impl fmt::Display for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
