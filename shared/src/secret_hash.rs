//! The hash by which secrets are stored and found.

use std::fmt;

use sha2::{Digest, Sha256};

/// The SHA-256 of a secret, 32 bytes. Partner keys and session tokens are stored
/// only in this form.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// Computes the hash of a secret.
    pub fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// Returns a name for the secret, for people: the first 16 hex digits of the hash.
    /// The secret cannot be found from it.
    pub fn id(&self) -> String {
        Self::id_of(&self.0)
    }

    /// Returns the [`SecretHash::id`] of a stored hash.
    pub(crate) fn id_of(hash: &[u8]) -> String {
        hex::encode(&hash[..hash.len().min(8)])
    }

    /// Returns the 32 bytes, as they are stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Shows nothing of the hash. It is not a secret, but is of no use in a log.
impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}
