//! The URLs of servers that we trust.

use url::{Host, Url};

/// Returns whether what is sent to the URL, and what comes from it, is safe from
/// others: it is encrypted, or it stays on this machine.
pub fn is_safe(url: &Url) -> bool {
    match url.scheme() {
        "https" => true,
        "http" => is_this_machine(url),
        _ => false,
    }
}

/// Returns whether the URL's host is a name or an address of this machine.
pub fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Returns whether the URL names neither a user nor a part of a document.
pub(super) fn is_plain(url: &Url) -> bool {
    url.username().is_empty() && url.password().is_none() && url.fragment().is_none()
}

/// Parses the URL of public keys. Keys that came over a link that others can write to could
/// be anybody's keys.
pub(super) fn keys_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    (is_safe(&url) && is_plain(&url)).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_https_or_from_this_machine() {
        for valid in [
            "https://id.example.com/keys?p=policy",
            "http://localhost:9000/jwks",
            "http://127.0.0.1/jwks",
            "http://127.8.8.8/jwks",
            "http://[::1]:80/jwks",
        ] {
            assert!(keys_url(valid).is_some(), "{valid}");
        }
        for invalid in [
            "http://id.example.com/keys",
            "http://localhost.example.com/keys",
            "http://127.0.0.1.example.com/keys",
            "http://10.0.0.1/keys",
            "http://0.0.0.0/keys",
            "https://user:word@id.example.com/keys",
            "https://id.example.com/keys#1",
            "file:///etc/jwks.json",
            "id.example.com/keys",
            "https://",
        ] {
            assert!(keys_url(invalid).is_none(), "{invalid}");
        }
    }
}
