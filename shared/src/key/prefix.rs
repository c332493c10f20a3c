use std::fmt;

/// The first 24 characters of a key: `pk_live_` and 16 hex characters.
///
/// It identifies a key to people, and may be logged, shown and stored.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::Type)]
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

impl fmt::Display for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
