//! GitHub as a reporter of leaked keys: its public keys, and reports that are signed with
//! the private ones.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// A key with which reports are signed.
pub struct ReportKey {
    name: String,
    pair: EcdsaKeyPair,
}

impl ReportKey {
    /// Generates a key with this identifier.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap(),
        }
    }

    /// Returns the headers of a report with this body.
    pub fn headers(&self, body: &[u8]) -> [(&'static str, String); 2] {
        let signature = self.pair.sign(&SystemRandom::new(), body).unwrap();
        [
            ("Github-Public-Key-Identifier", self.name.clone()),
            ("Github-Public-Key-Signature", STANDARD.encode(signature)),
        ]
    }

    fn public(&self) -> Value {
        let der: PublicKeyX509Der<'_> = self.pair.public_key().as_der().unwrap();
        let text = STANDARD.encode(der.as_ref());
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n");
        json!({ "key_identifier": self.name, "key": pem, "is_current": true })
    }
}

/// Returns the document in which GitHub publishes these keys.
pub fn published(keys: &[&ReportKey]) -> String {
    let keys: Vec<_> = keys.iter().map(|key| key.public()).collect();
    json!({ "public_keys": keys }).to_string()
}
