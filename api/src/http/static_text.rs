use std::sync::OnceLock;

use bytes::Bytes;
use poem::endpoint::make_sync;
use poem::{Endpoint, Response};

/// Returns an endpoint that always answers with this text. All answers share its bytes:
/// one that a slow client does not read takes no memory.
pub fn static_text(
    text: impl Into<Bytes>,
    content_type: &'static str,
) -> impl Endpoint<Output = Response> + 'static {
    let text: Bytes = text.into();
    lazy_text(move || text.clone(), content_type)
}

/// Returns an endpoint that always answers with the same text, which it makes for the first
/// request.
pub fn lazy_text(
    make: impl Fn() -> Bytes + Send + Sync + 'static,
    content_type: &'static str,
) -> impl Endpoint<Output = Response> + 'static {
    let text = OnceLock::new();
    make_sync(move |_| {
        Response::builder()
            .content_type(content_type)
            .body(text.get_or_init(&make).clone())
    })
}
