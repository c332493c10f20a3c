//! The two identifiers that travel through the whole product.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Identifies one minted key, and so one row of `api_partners`.
///
/// A version 7 UUID: ordered by time of creation, which keeps the primary
/// index dense. It is not a secret and says nothing about the key.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, sqlx::Type,
)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct KeyId(pub Uuid);

impl KeyId {
    /// A fresh id.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for KeyId {
    type Err = uuid::Error;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        s.parse().map(Self)
    }
}

/// The account a key and a session belong to, as the identity provider names it.
///
/// Any text of 1 to 255 characters: `auth0|6123…`, an e-mail address, a UUID.
#[derive(Debug, Clone, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(transparent)]
pub struct AccountId(String);

/// The text is empty, longer than 255 characters, or holds a NUL character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to 255 characters, none of them NUL")]
pub struct InvalidAccountId;

impl AccountId {
    /// The most characters an account id may have.
    pub const MAX_CHARS: usize = 255;

    /// Checks and takes an account id.
    ///
    /// NUL is refused because PostgreSQL's `text` cannot hold it.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidAccountId> {
        let text = text.into();
        let length = text.chars().take(Self::MAX_CHARS + 1).count();
        if (1..=Self::MAX_CHARS).contains(&length) && !text.contains('\0') {
            Ok(Self(text))
        } else {
            Err(InvalidAccountId)
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for AccountId {
    type Err = InvalidAccountId;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::parse(s)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_id_is_one_to_255_characters_of_anything_but_nul() {
        for good in ["a", "auth0|6123", "jo@example.org", &"é".repeat(255)] {
            assert!(AccountId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "a\0b", &"é".repeat(256)] {
            assert_eq!(AccountId::parse(bad), Err(InvalidAccountId));
        }
    }
}
