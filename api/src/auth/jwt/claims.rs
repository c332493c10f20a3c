//! The claims of a token: its issuer, audience, validity and account.

use std::time::Duration;

use serde_json::{Map, Value};
use shared::clock::Timestamp;
use shared::config::JwtConfig;
use shared::ids::AccountId;

use super::Refusal;

/// The tolerated difference between the provider's clock and ours.
const LEEWAY: Duration = Duration::from_secs(30);

/// Checks the claims of a token whose signature was verified, and returns its
/// account.
pub fn account(
    claims: &Map<String, Value>,
    config: &JwtConfig,
    now: Timestamp,
) -> Result<AccountId, Refusal> {
    if claims.get("iss").and_then(Value::as_str) != Some(&config.issuer) {
        return Err(Refusal::Issuer);
    }
    if !has_audience(claims.get("aud"), &config.audience) {
        return Err(Refusal::Audience);
    }
    let expires = claims
        .get("exp")
        .and_then(numeric_date)
        .ok_or(Refusal::Expired)?;
    if now - LEEWAY >= expires {
        return Err(Refusal::Expired);
    }
    if let Some(not_before) = claims.get("nbf") {
        let not_before = numeric_date(not_before).ok_or(Refusal::NotYet)?;
        if now + LEEWAY < not_before {
            return Err(Refusal::NotYet);
        }
    }
    let account = claims.get(&config.account_claim).and_then(Value::as_str);
    AccountId::parse(account.ok_or(Refusal::Account)?).map_err(|_| Refusal::Account)
}

/// Returns whether `aud`, a string or an array of strings, contains the audience.
fn has_audience(aud: Option<&Value>, audience: &str) -> bool {
    match aud {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(several)) => several.iter().any(|one| one == audience),
        _ => false,
    }
}

/// Reads a `NumericDate` of RFC 7519: seconds since 1970, possibly with a fraction.
fn numeric_date(value: &Value) -> Option<Timestamp> {
    let micros = if let Some(whole) = value.as_i64() {
        whole.saturating_mul(1_000_000)
    } else {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the cast saturates, and the limits are far from any valid time"
        )]
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

    /// Checks valid claims with these changes; null removes a claim.
    fn account_with(claims: Value) -> Result<String, Refusal> {
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
        account_at(NOW, all)
    }

    fn account_at(now: Timestamp, claims: &Map<String, Value>) -> Result<String, Refusal> {
        let config = JwtConfig {
            jwks_url: "https://id.example.com/keys".parse().unwrap(),
            issuer: "https://id.example.com/".into(),
            audience: "keys".into(),
            account_claim: "sub".into(),
        };
        account(claims, &config, now).map(|account| account.as_str().to_owned())
    }

    #[test]
    fn the_leeway_is_exactly_thirty_seconds_for_exp_and_nbf() {
        let claims = json!({
            "iss": "https://id.example.com/", "aud": "keys", "sub": "jo",
            "exp": 1_800_000_000, "nbf": 1_800_000_000,
        });
        let claims = claims.as_object().unwrap();
        assert_eq!(account_at(NOW + LEEWAY, claims), Err(Refusal::Expired));
        assert!(account_at(NOW + LEEWAY - TICK, claims).is_ok());
        assert!(account_at(NOW - LEEWAY, claims).is_ok());
        assert_eq!(
            account_at(NOW - LEEWAY - TICK, claims),
            Err(Refusal::NotYet)
        );
    }

    #[test]
    fn exp_is_a_number_and_required() {
        for good in [
            json!(1_800_000_001),
            json!(1.8e9),
            json!(1e300),
            json!(1_799_999_970.5),
        ] {
            assert!(account_with(json!({"exp": good})).is_ok(), "{good}");
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
            assert_eq!(
                account_with(json!({"exp": bad})),
                Err(Refusal::Expired),
                "{bad}"
            );
        }
        assert!(account_with(json!({"nbf": 0})).is_ok());
        for bad in [json!("0"), json!(u64::MAX), json!(1e300), json!([])] {
            assert_eq!(
                account_with(json!({"nbf": bad})),
                Err(Refusal::NotYet),
                "{bad}"
            );
        }
    }

    #[test]
    fn iss_must_equal_the_issuer_exactly() {
        for bad in [
            json!(null),
            json!("https://id.example.com"),
            json!("https://ID.example.com/"),
            json!(["https://id.example.com/"]),
            json!(""),
        ] {
            assert_eq!(
                account_with(json!({"iss": bad})),
                Err(Refusal::Issuer),
                "{bad}"
            );
        }
    }

    #[test]
    fn aud_is_our_audience_or_contains_it() {
        for good in [json!("keys"), json!(["keys"]), json!(["a", "keys", "b"])] {
            assert!(account_with(json!({"aud": good})).is_ok(), "{good}");
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
            assert_eq!(
                account_with(json!({"aud": bad})),
                Err(Refusal::Audience),
                "{bad}"
            );
        }
    }

    #[test]
    fn the_account_is_any_string_of_1_to_255_characters() {
        for good in ["auth0|6123", "jo@example.org", " ", &"é".repeat(255)] {
            assert_eq!(account_with(json!({"sub": good})).as_deref(), Ok(good));
        }
        for bad in [
            json!(null),
            json!(""),
            json!(7),
            json!(["jo"]),
            json!("a\0b"),
            json!("é".repeat(256)),
        ] {
            assert_eq!(
                account_with(json!({"sub": bad})),
                Err(Refusal::Account),
                "{bad}"
            );
        }
    }
}
