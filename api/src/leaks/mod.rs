//! Leaked keys: revoking them, whoever has found them.

pub mod github;

use shared::key::PartnerKey;
use shared::store::{Origin, StoreError};
use url::Url;

use crate::{App, lookups};

/// The longest address that the audit trail keeps, in bytes.
const MAX_URL: usize = 500;

/// A key that was found where others can read it.
pub struct Leak {
    /// The key.
    pub key: PartnerKey,
    /// Who has reported it, and where it was found.
    pub origin: Origin,
}

/// Revokes those of the keys that work. If it fails, some may be revoked: it can be repeated.
pub async fn revoke(app: &App, leaks: impl IntoIterator<Item = &Leak>) -> Result<(), StoreError> {
    let now = app.clock.now();
    let leaks: Vec<&Leak> = leaks.into_iter().collect();
    let lookups = leaks.iter().map(|leak| async {
        let hash = leak.key.hash();
        app.store.key_by_hash(&hash, now).await
    });
    let found = lookups::all(lookups.collect()).await?;
    for (leak, found) in leaks.into_iter().zip(found) {
        let Some(key) = found else { continue };
        let revoked = app.store.revoke_key_by_id(key.id, now, &leak.origin).await;
        if let Some(revoked) = revoked? {
            app.has_revoked(&revoked, &leak.origin);
        }
    }
    Ok(())
}

/// Returns where a key was found, for the audit trail and the log: `at …`. The address comes
/// from outside. It is left out if it is none of the web's, and if it contains a key.
pub fn found_at(url: Option<&str>) -> String {
    let url = url.filter(|url| !url.is_empty());
    let Some(url) = url else {
        return "at an unknown address".to_owned();
    };
    let parsed = Url::parse(url).ok();
    let parsed = parsed.filter(|url| matches!(url.scheme(), "http" | "https"));
    let Some(mut url) = parsed else {
        return "at what is no web address".to_owned();
    };
    // A name and a password may be secrets of others.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
    // The text is ASCII, because a URL encodes everything else.
    let text = url.as_str();
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8_lossy();
    if decoded.contains(PartnerKey::PREFIX) {
        return "at an address that contains a key".to_owned();
    }
    format!("at {}", text.get(..MAX_URL).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_unless_it_is_secret_or_odd() {
        for (url, kept) in [
            (None, "at an unknown address"),
            (Some(""), "at an unknown address"),
            (
                Some("https://a.example/b?c=d"),
                "at https://a.example/b?c=d",
            ),
            (
                Some("https://jo:pw@a.example/b#c"),
                "at https://a.example/b",
            ),
            (
                Some("https://a.example/\u{e9}\n"),
                "at https://a.example/%C3%A9",
            ),
            (Some("javascript:alert(1)"), "at what is no web address"),
            (Some("here"), "at what is no web address"),
            (
                Some("https://a.example/?q=pk_live_00"),
                "at an address that contains a key",
            ),
            (
                Some("https://a.example/?q=pk%5Flive%5F00"),
                "at an address that contains a key",
            ),
        ] {
            assert_eq!(found_at(url), kept, "{url:?}");
        }
        let long = format!("https://a.example/{}", "b".repeat(1000));
        assert_eq!(found_at(Some(&long)).len(), "at ".len() + MAX_URL);
    }
}
