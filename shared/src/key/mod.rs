//! The partner's API key: the secret itself, its hash and its prefix are three
//! types, so that none can stand where another is meant.

mod hash;
mod partner_key;
mod prefix;

pub use hash::KeyHash;
pub use partner_key::{InvalidPartnerKey, PartnerKey};
pub use prefix::KeyPrefix;
