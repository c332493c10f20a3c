//! The `Authorization: Bearer …` header, RFC 6750.

use poem::http::{HeaderMap, header};
use shared::bytes;

/// The request has an `Authorization` header that is not one well-formed Bearer
/// token.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

/// Returns the Bearer token of a request; `None` without the header.
///
/// Other schemes are malformed too. If they were ignored, a proxy and this service
/// could see different callers in the same request.
pub fn token(headers: &HeaderMap) -> Result<Option<&str>, Malformed> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value.to_str().map_err(|_| Malformed)?,
        (Some(_), Some(_)) => return Err(Malformed),
    };
    let (scheme, token) = value.split_once(' ').ok_or(Malformed)?;
    let token = token.trim_start_matches(' ');
    let well_formed = !token.is_empty() && bytes::all(token, |b| b.is_ascii_graphic());
    if scheme.eq_ignore_ascii_case("Bearer") && well_formed {
        Ok(Some(token))
    } else {
        Err(Malformed)
    }
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let value = |bytes: &&[u8]| HeaderValue::from_bytes(bytes).unwrap();
        let named = values.iter().map(|v| (header::AUTHORIZATION, value(v)));
        named.collect()
    }

    #[test]
    fn one_token_is_accepted_in_any_case_of_the_scheme() {
        for good in ["Bearer abc", "bearer abc", "BEARER  abc"] {
            assert_eq!(token(&headers(&[good.as_bytes()])), Ok(Some("abc")));
        }
        assert_eq!(token(&headers(&[])), Ok(None));
    }

    #[test]
    fn malformed_headers_are_refused() {
        let bad: [&[u8]; 9] = [
            b"",
            b"Bearer",
            b"Bearer ",
            b"abc",
            b"Basic abc",
            b"Bearer a b",
            b"Bearer \xff",
            b"Bearerabc",
            b"Bearer abc, Bearer def",
        ];
        for bad in bad {
            assert_eq!(token(&headers(&[bad])), Err(Malformed), "{bad:?}");
        }
        assert_eq!(token(&headers(&[b"Bearer a", b"Bearer a"])), Err(Malformed));
    }
}
