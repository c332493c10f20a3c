//! The identifiers of keys and accounts.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::{NoContext, Uuid};

use crate::clock::Timestamp;

/// The id of a key, and of its row in `api_partners`.
///
/// It is a UUID of version 7. These are ordered by time of creation, which keeps the
/// primary index dense. It is not a secret and reveals nothing about the key.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, sqlx::Type,
)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct KeyId(pub Uuid);

impl KeyId {
    /// Generates the id of a key that is created now.
    #[must_use]
    pub fn generate(now: Timestamp) -> Self {
        let since_1970 = now.since(Timestamp::from_micros(0));
        let (seconds, nanos) = (since_1970.as_secs(), since_1970.subsec_nanos());
        Self(Uuid::new_v7(uuid::Timestamp::from_unix(
            NoContext, seconds, nanos,
        )))
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

/// The id of the account to which a key or a session belongs, as the platform's
/// login or the identity provider names it.
///
/// It is any text of 1 to 255 characters: `auth0|6123…`, an e-mail address, a UUID.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct AccountId(String);

impl<DB: sqlx::Database> sqlx::Type<DB> for AccountId
where
    String: sqlx::Type<DB>,
{
    fn type_info() -> DB::TypeInfo {
        String::type_info()
    }

    fn compatible(ty: &DB::TypeInfo) -> bool {
        String::compatible(ty)
    }
}

/// Checks what the database holds: the login writes sessions into it too.
impl<'r, DB: sqlx::Database> sqlx::Decode<'r, DB> for AccountId
where
    String: sqlx::Decode<'r, DB>,
{
    fn decode(value: DB::ValueRef<'r>) -> Result<Self, sqlx::error::BoxDynError> {
        Ok(Self::parse(String::decode(value)?)?)
    }
}

/// The text is empty, longer than 255 characters, or contains a NUL character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to 255 characters, none of them NUL")]
pub struct InvalidAccountId;

impl AccountId {
    /// The largest number of characters in an account id.
    pub const MAX_CHARS: usize = 255;

    /// Checks and converts an account id.
    ///
    /// NUL is refused because PostgreSQL's `text` cannot contain it.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidAccountId> {
        let text = text.into();
        let length = text.chars().take(Self::MAX_CHARS + 1).count();
        if (1..=Self::MAX_CHARS).contains(&length) && !text.contains('\0') {
            Ok(Self(text))
        } else {
            Err(InvalidAccountId)
        }
    }

    /// Returns the id as text.
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
    fn a_key_id_is_a_version_7_uuid_with_the_given_time() {
        let id = KeyId::generate(Timestamp::from_micros(1_795_338_600_123_456));
        assert_eq!(id.0.get_version_num(), 7);
        let time = id.0.get_timestamp().map(|time| time.to_unix());
        assert_eq!(time, Some((1_795_338_600, 123_000_000)));
    }

    #[test]
    fn an_account_id_is_1_to_255_characters_without_nul() {
        for good in ["a", "auth0|6123", "jo@example.org", &"é".repeat(255)] {
            assert!(AccountId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "a\0b", &"é".repeat(256)] {
            assert_eq!(AccountId::parse(bad), Err(InvalidAccountId));
        }
    }
}
