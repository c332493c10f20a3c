use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;

use crate::published_keys::{Found, KeySet};

/// The keys with which GitHub signs its reports, by their names.
pub struct GithubKeys(Vec<(String, Arc<ParsedPublicKey>)>);

#[derive(Deserialize)]
struct Document {
    public_keys: Vec<PublicKey>,
}

/// A key as GitHub publishes it: PEM of a P-256 key.
#[derive(Deserialize)]
struct PublicKey {
    key_identifier: String,
    key: String,
}

impl KeySet for GithubKeys {
    /// The header `Github-Public-Key-Identifier`.
    type Name<'a> = &'a str;
    type Key = Arc<ParsedPublicKey>;

    const PUBLISHER: &'static str = "GitHub";
    const FORMAT: &'static str = "a list of public keys";
    /// GitHub limits requests by address. A new key is fetched when it is first used.
    const MAX_AGE: Duration = Duration::from_hours(24);

    /// Keys of another kind are skipped.
    fn parse(document: &[u8]) -> Option<Self> {
        let document: Document = serde_json::from_slice(document).ok()?;
        let keys = document.public_keys.into_iter().filter_map(|key| {
            let der = SubjectPublicKeyInfoDer::from_pem_slice(key.key.as_bytes()).ok()?;
            let parsed = ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, der.as_ref()).ok()?;
            Some((key.key_identifier, Arc::new(parsed)))
        });
        Some(Self(keys.collect()))
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn find(&self, name: &str) -> Found<Arc<ParsedPublicKey>> {
        let found = self.0.iter().find(|(own, _)| own == name);
        found.map_or(Found::Unknown, |(_, key)| Found::Key(Arc::clone(key)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_with_other_keys_is_read_as_far_as_possible() {
        let keys = json!({"public_keys": [
            {"key_identifier": "a", "key": "no PEM", "is_current": true},
            {"key_identifier": "b", "key": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"},
        ]});
        let keys = GithubKeys::parse(keys.to_string().as_bytes()).unwrap();
        assert_eq!(keys.len(), 0);
        assert!(matches!(keys.find("a"), Found::Unknown));
        for bad in ["", "[]", "{}", r#"{"public_keys":{}}"#] {
            assert!(GithubKeys::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
