//! Properties of everything that reads what a client sends, for any input. `make fuzz`
//! tries other inputs for a minute. Inputs that once broke a property are kept in
//! `proptest-regressions`, and are tried first.

use poem::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::auth::bearer_token;
use crate::auth::fuzz::{cookie_value, parse_key_set, session_of_claims};
use crate::csrf;
use crate::http::fuzz::client_of;

/// Bytes that a header may contain, with those that parsers care about more often.
fn header_bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        3 => prop::sample::select(b" \t;=,:.\"[]/\\@?#-_".to_vec()),
        4 => b'0'..=b'z',
        1 => 0x80..=0xff_u8,
    ];
    vec(byte, 0..60)
}

fn headers(lines: &[(HeaderName, Vec<u8>)]) -> HeaderMap {
    let lines = lines.iter();
    let lines = lines
        .filter_map(|(name, value)| Some((name.clone(), HeaderValue::from_bytes(value).ok()?)));
    lines.collect()
}

proptest! {
    #[test]
    fn fuzz_authorization(
        scheme in "(Bearer|bearer|BEARER|Basic|Bearer\u{20}| )?",
        rest in header_bytes(),
        twice in any::<bool>(),
    ) {
        let value = [scheme.as_bytes(), b" ", &rest].concat();
        let line = (header::AUTHORIZATION, value.clone());
        let lines = if twice { vec![line.clone(), line] } else { vec![line] };
        let headers = headers(&lines);
        if let Some(token) = bearer_token(&headers) {
            prop_assert!(!twice && scheme.trim().eq_ignore_ascii_case("bearer"));
            prop_assert!(!token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic()));
            prop_assert!(value.ends_with(token.as_bytes()));
        }
    }

    #[test]
    fn fuzz_cookie(before in header_bytes(), between in header_bytes(), after in header_bytes()) {
        let line = [&before, &b"__Host-session="[..], &between, b";", &after].concat();
        let headers = headers(&[(header::COOKIE, line.clone())]);
        // The names as browsers wrote them: only space and tab may be around a pair.
        let is_space = |b: &u8| matches!(b, b' ' | b'\t');
        let pairs = line.split(|b| *b == b';').map(|pair| {
            let start = pair.iter().position(|b| !is_space(b)).unwrap_or(pair.len());
            &pair[start..]
        });
        let ours = pairs.filter(|pair| pair.starts_with(b"__Host-session="));
        let found = cookie_value(&headers, "__Host-session");
        if ours.count() != 1 {
            prop_assert_eq!(found, None);
        }
    }

    #[test]
    fn fuzz_origin(
        origin in "(https?://)?[a-z.:/@\\[\\]#?%0-9-]{0,12}(keys\\.example\\.com)?(:[0-9]{0,5})?",
        site in proptest::option::of("(same-origin|none|same-site|cross-site|[a-z-]{0,8})"),
    ) {
        let mut lines = vec![
            (header::HOST, b"keys.example.com".to_vec()),
            (header::ORIGIN, origin.clone().into_bytes()),
        ];
        if let Some(site) = &site {
            lines.push((HeaderName::from_static("sec-fetch-site"), site.clone().into_bytes()));
        }
        let is_allowed = csrf::is_allowed(&headers(&lines), &Uri::from_static("/"), &[]);
        let ours = [
            "http://keys.example.com",
            "http://keys.example.com:80",
            "https://keys.example.com",
            "https://keys.example.com:443",
        ];
        let expected = site.as_deref().map_or_else(
            || ours.contains(&&*origin),
            |site| matches!(site, "same-origin" | "none"),
        );
        // Ports may be written with leading zeros, or left empty.
        let unusual = origin.contains(":0") || origin.ends_with(':');
        prop_assert!(is_allowed == expected || unusual, "{origin:?} {site:?}");
    }

    #[test]
    fn fuzz_forwarded_address(lines in vec(header_bytes(), 0..4)) {
        let name = HeaderName::from_static("x-forwarded-for");
        let lines: Vec<_> = lines.into_iter().map(|line| (name.clone(), line)).collect();
        let headers = headers(&lines);
        let (proxy, other) = ("10.0.0.1".parse().unwrap(), "192.0.2.1".parse().unwrap());
        client_of(proxy, &headers, "10.0.0.0/8");
        prop_assert_eq!(client_of(other, &headers, "10.0.0.0/8"), other, "it is no proxy");
    }

    #[test]
    fn fuzz_key_set(document in vec(any::<u8>(), 0..200), keys in json()) {
        parse_key_set(&document);
        parse_key_set(format!("{{\"keys\":[{keys}]}}").as_bytes());
    }

    #[test]
    fn fuzz_claims(name in "(iss|aud|sub|exp|nbf|iat|cnf|events|jti)", value in json()) {
        let before = session_of_claims(&name, None).unwrap();
        if let Some((account, _)) = session_of_claims(&name, Some(&value)) {
            let is_sub = name == "sub";
            prop_assert!(is_sub || account == before.0, "{name} {value}");
            prop_assert!(!matches!(&*name, "cnf" | "events"), "{name} {value}");
        }
    }
}

/// Any JSON, with the numbers that times are made of.
fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::{Value, json};
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (1_799_900_000..1_800_100_000_i64).prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        "[a-zA-Z0-9+/=_-]{0,20}".prop_map(Value::from),
        prop::sample::select(vec!["RSA", "EC", "OKP", "P-256", "sig", "RS256", "ES256"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        let member = "(kty|crv|kid|use|alg|n|e|x|y|key_ops|[a-z]{1,4})";
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(member, inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}
