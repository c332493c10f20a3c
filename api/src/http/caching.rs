use poem::http::HeaderMap;
use poem::http::header::{CACHE_CONTROL, HeaderValue};

/// Adds `Cache-Control: no-store` to a response without `Cache-Control`:
/// responses contain keys and links.
pub fn forbid_by_default(headers: &mut HeaderMap) {
    let caching = headers.entry(CACHE_CONTROL);
    caching.or_insert(HeaderValue::from_static("no-store"));
}
