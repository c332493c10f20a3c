use std::sync::Arc;

use poem::http::header::{CACHE_CONTROL, HeaderValue};
use poem::{Endpoint, Request, Response};

/// Adds `Cache-Control: no-store` to a response without `Cache-Control`:
/// responses contain keys and links. poem's `SetHeader` would replace the header
/// of a route that sets it.
pub async fn forbid_by_default<E: Endpoint>(
    next: Arc<E>,
    request: Request,
) -> poem::Result<Response> {
    let mut response = next.get_response(request).await;
    let caching = response.headers_mut().entry(CACHE_CONTROL);
    caching.or_insert(HeaderValue::from_static("no-store"));
    Ok(response)
}
