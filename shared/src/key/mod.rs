//! The partner's API key. The key, its hash ([`crate::secret_hash`]) and its prefix
//! are separate types, so that one cannot be used in place of another.

mod partner_key;
mod prefix;

use crate::bytes;

pub use partner_key::{InvalidPartnerKey, PartnerKey};
pub use prefix::{InvalidKeyPrefix, KeyPrefix};

/// Returns whether the text consists of the characters `0` to `9` and `a` to `f` alone.
fn is_lowercase_hex(text: &str) -> bool {
    let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    bytes::all(text, is_digit)
}
