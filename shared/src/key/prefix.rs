use std::fmt;

/// The first 24 characters of a key: `pk_live_` and 16 hex characters.
///
/// Names a key towards people; safe to log, show and store.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::Type)]
#[sqlx(transparent)]
pub struct KeyPrefix(String);

impl KeyPrefix {
    /// Characters of the key that the prefix shows. 64 of the key's 256 random
    /// bits; the 192 that stay hidden are far beyond guessing.
    pub const LENGTH: usize = 24;

    /// The prefix of a well-formed key (ASCII, longer than the prefix).
    pub(super) fn of(key: &str) -> Self {
        Self(key.chars().take(Self::LENGTH).collect())
    }

    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
