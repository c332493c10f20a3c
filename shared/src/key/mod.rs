//! The partner's API key. The key itself, its hash and its prefix are separate
//! types, so that none can be used where another is meant.

mod partner_key;
mod prefix;

pub use partner_key::{InvalidPartnerKey, PartnerKey};
pub use prefix::KeyPrefix;
