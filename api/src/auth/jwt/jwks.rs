//! A provider's keys as it publishes them: a JSON Web Key Set, RFC 7517.

use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// The keys of a provider that sign sessions. At least one.
pub struct KeySet(Vec<Key>);

/// One public key, and the one algorithm it is for.
struct Key {
    kid: Option<String>,
    algorithm: Algorithm,
    public: DecodingKey,
}

/// What a set has for a token.
#[derive(Debug)]
pub enum Found {
    /// The key that should have signed it.
    Key(DecodingKey),
    /// A key of that name for another algorithm; or the token names none, and
    /// there are several.
    Unsuitable,
    /// No key of that name. The provider may have a new one.
    Unknown,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

/// The members that are of use, of all sorts of keys.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// The usable keys of a document; `None` if there is not one. Others are
    /// passed over: providers publish keys for encryption, and for algorithms
    /// that are not taken, beside these.
    pub fn parse(document: &[u8]) -> Option<Self> {
        let document: Document = serde_json::from_slice(document).ok()?;
        let keys = document.keys.into_iter();
        let keys = keys.filter_map(|key| Key::of(serde_json::from_value(key).ok()?));
        let keys: Vec<Key> = keys.collect();
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The key of this name and algorithm. Without a name: the only key.
    pub fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Found {
        let named = |key: &&Key| kid.is_none() || key.kid.as_deref() == kid;
        let mut suitable = self.0.iter().filter(named);
        match kid {
            Some(_) if suitable.clone().next().is_none() => return Found::Unknown,
            None if self.0.len() > 1 => return Found::Unsuitable,
            _ => {}
        }
        let suitable = suitable.find(|key| key.algorithm == algorithm);
        suitable.map_or(Found::Unsuitable, |key| Found::Key(key.public.clone()))
    }
}

impl Key {
    fn of(jwk: Jwk) -> Option<Self> {
        let signs = jwk.purpose.is_none_or(|purpose| purpose == "sig")
            && jwk
                .key_ops
                .is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        let (algorithm, names, key) = match (&*jwk.kty, jwk.crv.as_deref()) {
            ("RSA", None) => {
                let key = DecodingKey::from_rsa_components(&jwk.n?, &jwk.e?);
                (Algorithm::RS256, &["RS256"][..], key)
            }
            ("EC", Some("P-256")) => {
                let key = DecodingKey::from_ec_components(&jwk.x?, &jwk.y?);
                (Algorithm::ES256, &["ES256"][..], key)
            }
            ("OKP", Some("Ed25519")) => {
                let key = DecodingKey::from_ed_components(&jwk.x?);
                (Algorithm::EdDSA, &["EdDSA", "Ed25519"][..], key) // RFC 9864 has the second
            }
            _ => return None,
        };
        let fits = jwk.alg.is_none_or(|alg| names.contains(&&*alg));
        (signs && fits).then_some(Self {
            kid: jwk.kid,
            algorithm,
            public: key.ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What is found in a set of these keys; a dash for no set at all.
    fn find(keys: &Value, kid: Option<&str>, algorithm: Algorithm) -> &'static str {
        let document = json!({"keys": keys}).to_string();
        let Some(set) = KeySet::parse(document.as_bytes()) else {
            return "-";
        };
        match set.find(kid, algorithm) {
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
    fn a_key_is_found_by_its_name_and_for_its_own_algorithm_alone() {
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
        // Two of one name: each for its own.
        let same = || json!([rsa("k"), ec("k")]);
        assert_eq!(find(&same(), Some("k"), Algorithm::RS256), "key");
        assert_eq!(find(&same(), Some("k"), Algorithm::ES256), "key");
        assert_eq!(find(&same(), Some("k"), Algorithm::EdDSA), "unsuitable");
    }

    #[test]
    fn a_token_that_names_no_key_needs_there_to_be_one_only() {
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
    fn keys_for_anything_else_are_passed_over() {
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
            // Beside a good one it does no harm.
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
    fn what_is_no_key_set_is_none() {
        for bad in [
            "",
            "{}",
            "[]",
            "null",
            "<html>",
            r#"{"keys":[]}"#,
            r#"{"keys":{}}"#,
        ] {
            assert!(KeySet::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
