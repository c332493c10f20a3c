//! What a token says: by whom, for whom, until when, and about which account.

use std::time::Duration;

use serde_json::{Map, Value};
use shared::clock::Timestamp;
use shared::config::JwtConfig;
use shared::ids::AccountId;

use super::Refusal;

/// How far apart the provider's clock and ours may be.
const LEEWAY: Duration = Duration::from_secs(30);

/// The account of a token whose signature was verified.
pub fn account(
    claims: &Map<String, Value>,
    config: &JwtConfig,
    now: Timestamp,
) -> Result<AccountId, Refusal> {
    if claims.get("iss").and_then(Value::as_str) != Some(&config.issuer) {
        return Err(Refusal::Issuer);
    }
    if !names(claims.get("aud"), &config.audience) {
        return Err(Refusal::Audience);
    }
    let expires = claims.get("exp").and_then(time).ok_or(Refusal::Expired)?;
    if now - LEEWAY >= expires {
        return Err(Refusal::Expired);
    }
    if let Some(not_before) = claims.get("nbf") {
        let not_before = time(not_before).ok_or(Refusal::NotYet)?;
        if now + LEEWAY < not_before {
            return Err(Refusal::NotYet);
        }
    }
    let account = claims.get(&config.account_claim).and_then(Value::as_str);
    AccountId::parse(account.ok_or(Refusal::Account)?).map_err(|_| Refusal::Account)
}

/// `aud` is one text or several.
fn names(aud: Option<&Value>, audience: &str) -> bool {
    match aud {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(several)) => several.iter().any(|one| one == audience),
        _ => false,
    }
}

/// RFC 7519's `NumericDate`: seconds since 1970, perhaps with a fraction.
fn time(value: &Value) -> Option<Timestamp> {
    let micros = if let Some(whole) = value.as_i64() {
        whole.saturating_mul(1_000_000)
    } else {
        #[allow(clippy::cast_possible_truncation)] // saturates: the ends of time
        let micros = (value.as_f64()? * 1e6) as i64;
        micros
    };
    Some(Timestamp::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// 1 800 000 000 s since 1970, a Friday of 2027.
    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
    const TICK: Duration = Duration::from_micros(1);

    /// What comes of good claims with these among them; null takes one out.
    fn of(claims: Value) -> Result<String, Refusal> {
        let mut all = json!({
            "iss": "https://id.example.com/", "aud": "keys", "sub": "jo", "exp": 1_800_000_060,
        });
        let all = all.as_object_mut().unwrap();
        let Value::Object(claims) = claims else {
            panic!("an object")
        };
        for (name, value) in claims {
            all.remove(&name);
            if !value.is_null() {
                all.insert(name, value);
            }
        }
        at(NOW, all)
    }

    fn at(now: Timestamp, claims: &Map<String, Value>) -> Result<String, Refusal> {
        let config = JwtConfig {
            jwks_url: "https://id.example.com/keys".parse().unwrap(),
            issuer: "https://id.example.com/".into(),
            audience: "keys".into(),
            account_claim: "sub".into(),
        };
        account(claims, &config, now).map(|account| account.as_str().to_owned())
    }

    #[test]
    fn the_leeway_is_thirty_seconds_to_the_microsecond_at_both_ends() {
        let claims = json!({
            "iss": "https://id.example.com/", "aud": "keys", "sub": "jo",
            "exp": 1_800_000_000, "nbf": 1_800_000_000,
        });
        let claims = claims.as_object().unwrap();
        assert_eq!(at(NOW + LEEWAY, claims), Err(Refusal::Expired));
        assert!(at(NOW + LEEWAY - TICK, claims).is_ok());
        assert!(at(NOW - LEEWAY, claims).is_ok());
        assert_eq!(at(NOW - LEEWAY - TICK, claims), Err(Refusal::NotYet));
    }

    #[test]
    fn an_expiry_is_a_number_and_must_be_there() {
        for good in [
            json!(1_800_000_001),
            json!(1.8e9),
            json!(1e300),
            json!(1_799_999_970.5),
        ] {
            assert!(of(json!({"exp": good})).is_ok(), "{good}");
        }
        for bad in [
            json!(null),
            json!("1800000060"),
            json!([1_800_000_060]),
            json!(true),
            json!(0),
            json!(-1e300),
            json!(i64::MIN),
            json!(1_799_999_969.5),
        ] {
            assert_eq!(of(json!({"exp": bad})), Err(Refusal::Expired), "{bad}");
        }
        assert!(of(json!({"nbf": 0})).is_ok());
        for bad in [json!("0"), json!(u64::MAX), json!(1e300), json!([])] {
            assert_eq!(of(json!({"nbf": bad})), Err(Refusal::NotYet), "{bad}");
        }
    }

    #[test]
    fn an_issuer_is_the_one_to_the_letter() {
        for bad in [
            json!(null),
            json!("https://id.example.com"),
            json!("https://ID.example.com/"),
            json!(["https://id.example.com/"]),
            json!(""),
        ] {
            assert_eq!(of(json!({"iss": bad})), Err(Refusal::Issuer), "{bad}");
        }
    }

    #[test]
    fn an_audience_is_ours_alone_or_among_others() {
        for good in [json!("keys"), json!(["keys"]), json!(["a", "keys", "b"])] {
            assert!(of(json!({"aud": good})).is_ok(), "{good}");
        }
        for bad in [
            json!(null),
            json!(""),
            json!("key"),
            json!("keys2"),
            json!("a keys"),
            json!([]),
            json!(["a"]),
            json!([["keys"]]),
            json!({"keys": true}),
        ] {
            assert_eq!(of(json!({"aud": bad})), Err(Refusal::Audience), "{bad}");
        }
    }

    #[test]
    fn an_account_is_any_text_of_1_to_255_characters() {
        for good in ["auth0|6123", "jo@example.org", " ", &"é".repeat(255)] {
            assert_eq!(of(json!({"sub": good})).as_deref(), Ok(good));
        }
        for bad in [
            json!(null),
            json!(""),
            json!(7),
            json!(["jo"]),
            json!("a\0b"),
            json!("é".repeat(256)),
        ] {
            assert_eq!(of(json!({"sub": bad})), Err(Refusal::Account), "{bad}");
        }
    }
}
