//! Protection against cross-site request forgery: other sites must not use the
//! session cookie.

use poem::http::header::{self, AsHeaderName};
use poem::http::{HeaderMap, Uri};
use url::{Origin, Url};

const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// Returns whether a request that changes something may use the session cookie.
///
/// It may if its `Origin` is one of `allowed`. For any other origin, the browser's
/// `Sec-Fetch-Site` decides where it is sent: this site or the user must have made the
/// request. Browsers that are too old to send it have to name our host in `Origin`.
/// Without both headers it may not.
pub fn is_allowed(headers: &HeaderMap, uri: &Uri, allowed: &[String]) -> bool {
    let origin = single_value(headers, header::ORIGIN);
    if origin.is_some_and(|origin| allowed.iter().any(|allowed| allowed == origin)) {
        return true;
    }
    // Our host over plain HTTP is cross-site, and not told from us by `Origin` alone:
    // behind a proxy that terminates TLS, our own scheme is not known.
    if headers.contains_key(SEC_FETCH_SITE) {
        let site = single_value(headers, SEC_FETCH_SITE);
        return matches!(site, Some("same-origin" | "none"));
    }
    let Some(origin) = origin else {
        return false;
    };
    // In HTTP/2 the host is in the URI.
    let authority = uri.authority().map(poem::http::uri::Authority::as_str);
    let host = single_value(headers, header::HOST).or(authority);
    host.is_some_and(|host| is_our_origin(origin, host))
}

/// Returns the value of a header, if it is sent exactly once.
fn single_value(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().filter(|_| values.next().is_none());
    value.and_then(|value| value.to_str().ok())
}

/// Returns whether the origin is the host to which the request was sent. The scheme
/// is not compared: behind a proxy that terminates TLS, our own is not known.
fn is_our_origin(origin: &str, host: &str) -> bool {
    let is_bare = |text: &str| !text.contains(['@', '/', '?', '#']);
    let bare_origin = origin
        .split_once("://")
        .is_some_and(|(_, rest)| is_bare(rest));
    if !bare_origin || !is_bare(host) {
        return false;
    }
    let Ok(origin) = Url::parse(origin) else {
        return false;
    };
    if !matches!(origin.scheme(), "http" | "https") {
        return false;
    }
    let ours = Url::parse(&format!("{}://{host}/", origin.scheme()));
    let ours = ours.map(|url| url.origin());
    ours.is_ok_and(|ours| matches!(ours, Origin::Tuple(..)) && ours == origin.origin())
}

#[cfg(test)]
mod tests {
    use poem::http::{HeaderName, HeaderValue};

    use super::*;

    fn allowed(pairs: &[(&'static str, &'static str)]) -> bool {
        let headers = pairs.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        let headers = [("host", "api.example.com")]
            .map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)))
            .into_iter()
            .chain(headers)
            .collect();
        is_allowed(
            &headers,
            &Uri::from_static("/"),
            &["https://dash.example.com".into()],
        )
    }

    #[test]
    fn our_own_pages_and_allowed_origins_are_accepted() {
        assert!(allowed(&[("sec-fetch-site", "same-origin")]));
        assert!(allowed(&[("sec-fetch-site", "none")]));
        assert!(allowed(&[("origin", "https://api.example.com")]));
        assert!(allowed(&[("origin", "https://api.example.com:443")]));
        assert!(allowed(&[("origin", "https://dash.example.com")]));
        let cross_site = ("sec-fetch-site", "same-site");
        assert!(allowed(&[
            cross_site,
            ("origin", "https://dash.example.com")
        ]));
    }

    #[test]
    fn where_the_browser_names_the_site_the_origin_does_not_overrule_it() {
        for site in ["cross-site", "same-site", ""] {
            for own in ["http://api.example.com", "https://api.example.com"] {
                assert!(
                    !allowed(&[("sec-fetch-site", site), ("origin", own)]),
                    "{site} {own}"
                );
            }
        }
    }

    #[test]
    fn over_http_2_the_host_is_in_the_uri() {
        let origin = [(
            header::ORIGIN,
            HeaderValue::from_static("https://api.example.com"),
        )];
        let headers = origin.into_iter().collect();
        let uri = Uri::from_static("https://api.example.com/api");
        assert!(is_allowed(&headers, &uri, &[]));
        assert!(!is_allowed(
            &headers,
            &Uri::from_static("https://evil.example/"),
            &[]
        ));
    }

    #[test]
    fn anything_else_is_refused() {
        assert!(!allowed(&[]));
        let own = ("origin", "https://api.example.com");
        assert!(
            !allowed(&[own, ("origin", "https://evil.example")]),
            "sent twice"
        );
        let same = ("sec-fetch-site", "same-origin");
        assert!(
            !allowed(&[same, ("sec-fetch-site", "cross-site")]),
            "sent twice"
        );
        for site in ["cross-site", "same-site", "Same-Origin", ""] {
            assert!(!allowed(&[("sec-fetch-site", site)]), "{site}");
        }
        for origin in [
            "null",
            "",
            "https://evil.example",
            "https://api.example.com.evil.example",
            "https://api.example.com:8443",
            "http://api.example.com:443",
            "file://api.example.com",
            "api.example.com",
            "https://dash.example.com.evil.example",
            "https://evil@api.example.com",
            "https://api.example.com/evil",
        ] {
            assert!(!allowed(&[("origin", origin)]), "{origin}");
        }
    }
}
