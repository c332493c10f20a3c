//! The claims of a token: its issuer, audience, validity and account.

use std::time::Duration;

use serde_json::{Map, Value};
use shared::clock::Timestamp;
use shared::config::JwtConfig;
use shared::ids::AccountId;

use super::Refusal;

/// The tolerated difference between the provider's clock and ours.
const LEEWAY: Duration = Duration::from_secs(30);

/// The longest `jti` that the audit trail keeps, in bytes.
const MAX_TOKEN_ID: usize = 128;

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
    let issued = match claims.get("iat") {
        None => now,
        Some(issued) => numeric_date(issued).ok_or(Refusal::IssuedLater)?,
    };
    if now + LEEWAY < issued {
        return Err(Refusal::IssuedLater);
    }
    if expires.since(issued) > config.max_lifetime + LEEWAY {
        return Err(Refusal::LivesTooLong);
    }
    if claims.contains_key("cnf") {
        return Err(Refusal::Bound);
    }
    if claims.contains_key("events") {
        return Err(Refusal::Message);
    }
    let account = claims.get(&config.account_claim).and_then(Value::as_str);
    AccountId::parse(account.ok_or(Refusal::Account)?).map_err(|_| Refusal::Account)
}

/// Returns the token's `jti` for the audit trail, if it has a plain one.
pub fn token_id(claims: &Map<String, Value>) -> Option<String> {
    let id = claims.get("jti")?.as_str()?;
    let is_plain = id.len() <= MAX_TOKEN_ID && id.bytes().all(|byte| byte.is_ascii_graphic());
    is_plain.then(|| id.to_owned())
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
            jwks_max_stale: Duration::from_hours(24),
            max_lifetime: Duration::from_hours(24),
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
        for good in [json!(1_800_000_001), json!(1.8e9), json!(1_799_999_970.5)] {
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
    fn a_token_lives_for_a_day_at_most_from_iat_or_from_now() {
        let day = 24 * 60 * 60_i64;
        for (exp, iat, is_good) in [
            (1_800_000_000 + day, None, true),
            (1_800_000_000 + day + 31, None, false),
            (1_800_000_000, Some(1_800_000_000 - day), true),
            (1_800_000_001, Some(1_800_000_000 - day - 30), false),
            (4_956_000_000, None, false), // in 100 years
        ] {
            let found = account_with(json!({"exp": exp, "iat": iat}));
            let expected = if is_good {
                Ok("jo".to_owned())
            } else {
                Err(Refusal::LivesTooLong)
            };
            assert_eq!(found, expected, "{exp} {iat:?}");
        }
        assert_eq!(
            account_with(json!({"exp": 1e300})),
            Err(Refusal::LivesTooLong)
        );
    }

    #[test]
    fn a_token_of_the_future_is_refused() {
        assert!(account_with(json!({"iat": 1_800_000_030})).is_ok());
        for bad in [json!(1_800_000_031), json!("1800000000"), json!({})] {
            assert_eq!(
                account_with(json!({"iat": bad})),
                Err(Refusal::IssuedLater),
                "{bad}"
            );
        }
    }

    #[test]
    fn bound_tokens_and_messages_are_no_sessions() {
        let bound = json!({"cnf": {"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}});
        assert_eq!(account_with(bound), Err(Refusal::Bound));
        let logout = json!({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}});
        assert_eq!(account_with(logout), Err(Refusal::Message));
    }

    #[test]
    fn the_trail_keeps_a_plain_token_id() {
        let id = |jti: Value| token_id(json!({"jti": jti}).as_object().unwrap());
        assert_eq!(id(json!("a-1")), Some("a-1".to_owned()));
        for none in [
            json!(null),
            json!(7),
            json!("a b"),
            json!("é"),
            json!("a".repeat(129)),
        ] {
            assert_eq!(id(none.clone()), None, "{none}");
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
