//! The partner's API key. The key, its hash ([`crate::secret_hash`]) and its prefix
//! are separate types, so that one cannot be used in place of another.

mod partner_key;
mod prefix;

pub use partner_key::{InvalidPartnerKey, PartnerKey};
pub use prefix::{InvalidKeyPrefix, KeyPrefix};
