//! The provider's published keys: a JSON Web Key Set, RFC 7517.

use std::time::Duration;

use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use crate::published_keys::{Found, KeySet};

/// The keys with which a provider signs sessions.
pub struct Jwks(Vec<Key>);

/// A public key and its only algorithm.
struct Key {
    kid: Option<String>,
    algorithm: Algorithm,
    public: DecodingKey,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet for Jwks {
    /// The `kid` of a token, if it has one, and its algorithm.
    type Name<'a> = (Option<&'a str>, Algorithm);
    type Key = DecodingKey;

    const PUBLISHER: &'static str = "the identity provider";
    const FORMAT: &'static str = "a JSON Web Key Set";
    const MAX_AGE: Duration = Duration::from_mins(10);

    /// Other keys are skipped: providers also publish keys for encryption and for
    /// algorithms that are not accepted here. Each key is read separately, because
    /// `JwkSet` rejects the whole set if it cannot read one of them.
    fn parse(document: &[u8]) -> Option<Self> {
        let document: Document = serde_json::from_slice(document).ok()?;
        let keys = document.keys.iter().filter_map(Key::parse);
        Some(Self(keys.collect()))
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    /// Finds the key with this name and algorithm. Without a name, it must be the
    /// only key.
    fn find(&self, (kid, algorithm): Self::Name<'_>) -> Found<DecodingKey> {
        let has_name = |key: &&Key| kid.is_none() || key.kid.as_deref() == kid;
        let mut candidates = self.0.iter().filter(has_name);
        match kid {
            Some(_) if candidates.clone().next().is_none() => return Found::Unknown,
            None if self.0.len() > 1 => return Found::Unsuitable,
            _ => {}
        }
        let suitable = candidates.find(|key| key.algorithm == algorithm);
        suitable.map_or(Found::Unsuitable, |key| Found::Key(key.public.clone()))
    }
}

impl Key {
    /// Reads a key; returns `None` if it cannot sign sessions.
    fn parse(json: &Value) -> Option<Self> {
        let jwk = Jwk::deserialize(json).ok()?;
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Algorithm::RS256,
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
                Algorithm::ES256
            }
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                Algorithm::EdDSA
            }
            _ => return None,
        };
        // RFC 9864 renames `EdDSA` to `Ed25519`, which jsonwebtoken does not know.
        let has_new_name = algorithm == Algorithm::EdDSA && json["alg"] == "Ed25519";
        let fits = jwk
            .common
            .key_algorithm
            .is_none_or(|alg| alg == algorithm.into());
        if !may_verify(&jwk.common) || !(fits || has_new_name) {
            return None;
        }
        Some(Self {
            public: DecodingKey::from_jwk(&jwk).ok()?,
            kid: jwk.common.key_id,
            algorithm,
        })
    }
}

/// Returns whether the key is for signatures, as far as it says.
fn may_verify(key: &CommonParameters) -> bool {
    let purpose = key.public_key_use.as_ref();
    let operations = key.key_operations.as_ref();
    purpose.is_none_or(|purpose| *purpose == PublicKeyUse::Signature)
        && operations.is_none_or(|operations| operations.contains(&KeyOperations::Verify))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Looks for a key in a set of these keys. A dash means that the set is
    /// empty.
    fn find(keys: &Value, kid: Option<&str>, algorithm: Algorithm) -> &'static str {
        let document = json!({"keys": keys}).to_string();
        let set = Jwks::parse(document.as_bytes()).unwrap();
        if set.len() == 0 {
            return "-";
        }
        match set.find((kid, algorithm)) {
            Found::Key(_) => "key",
            Found::Unsuitable => "unsuitable",
            Found::Unknown => "unknown",
        }
    }

    fn with(mut key: Value, member: &str, value: &Value) -> Value {
        key[member] = value.clone();
        key
    }

    fn rsa(kid: &str) -> Value {
        json!({"kty": "RSA", "kid": kid, "n": "AQAB", "e": "AQAB"})
    }

    fn ec(kid: &str) -> Value {
        json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": "AQAB", "y": "AQAB"})
    }

    fn ed(kid: &str) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": "AQAB"})
    }

    #[test]
    fn a_key_is_found_by_its_name_and_only_for_its_own_algorithm() {
        let all = || json!([rsa("r"), ec("e"), ed("d")]);
        let algorithms = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];
        for (kid, own) in ["r", "e", "d"].into_iter().zip(algorithms) {
            for algorithm in algorithms {
                let expected = if algorithm == own {
                    "key"
                } else {
                    "unsuitable"
                };
                assert_eq!(find(&all(), Some(kid), algorithm), expected);
            }
            assert_eq!(find(&all(), Some("x"), own), "unknown");
        }
        // Two keys may share a name, if their algorithms differ.
        let same = || json!([rsa("k"), ec("k")]);
        assert_eq!(find(&same(), Some("k"), Algorithm::RS256), "key");
        assert_eq!(find(&same(), Some("k"), Algorithm::ES256), "key");
        assert_eq!(find(&same(), Some("k"), Algorithm::EdDSA), "unsuitable");
    }

    #[test]
    fn a_token_that_names_no_key_requires_a_set_of_one() {
        assert_eq!(find(&json!([rsa("r")]), None, Algorithm::RS256), "key");
        assert_eq!(
            find(&json!([rsa("r")]), None, Algorithm::ES256),
            "unsuitable"
        );
        let two = json!([rsa("r"), ec("e")]);
        assert_eq!(find(&two, None, Algorithm::RS256), "unsuitable");
        let other = with(rsa("enc"), "use", &json!("enc"));
        let and_one_for_encryption = json!([other, ec("e")]);
        assert_eq!(find(&and_one_for_encryption, None, Algorithm::ES256), "key");
    }

    #[test]
    fn keys_for_anything_else_are_skipped() {
        for (member, value) in [
            ("use", json!("enc")),
            ("key_ops", json!(["encrypt"])),
            ("alg", json!("RS512")),
            ("alg", json!("PS256")),
            ("alg", json!("HS256")),
            ("kty", json!("oct")),
            ("kty", json!("AKP")),
            ("kty", json!(7)),
            ("n", json!("not base64!")),
            ("n", json!(null)),
        ] {
            let key = with(rsa("r"), member, &value);
            let keys = json!([key]);
            assert_eq!(
                find(&keys, Some("r"), Algorithm::RS256),
                "-",
                "{member} {value}"
            );
            // It does not affect the other keys of its set.
            let keys = json!([key, ec("e")]);
            assert_eq!(find(&keys, Some("e"), Algorithm::ES256), "key");
        }
        for curve in ["P-384", "secp256k1", "Ed448"] {
            let key = with(ec("e"), "crv", &json!(curve));
            assert_eq!(find(&json!([key]), Some("e"), Algorithm::ES256), "-");
        }
        for alg in ["EdDSA", "Ed25519"] {
            let key = with(ed("d"), "alg", &json!(alg));
            assert_eq!(find(&json!([key]), Some("d"), Algorithm::EdDSA), "key");
        }
    }

    #[test]
    fn an_invalid_document_is_no_key_set() {
        for bad in [
            "",
            "{}",
            "[]",
            "null",
            "<html>",
            r#"{"keys":{}}"#,
            r#"{"keys":null}"#,
        ] {
            assert!(Jwks::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_provider_may_have_no_keys() {
        assert_eq!(Jwks::parse(br#"{"keys":[]}"#).unwrap().len(), 0);
    }
}
