use bytes::Bytes;
use poem::endpoint::make_sync;
use poem::{Endpoint, Response};

/// Returns an endpoint that always answers with this text. All answers share its bytes:
/// one that a slow client does not read takes no memory.
pub fn static_text(text: impl Into<Bytes>, content_type: &'static str) -> impl Endpoint + 'static {
    let text: Bytes = text.into();
    make_sync(move |_| {
        Response::builder()
            .content_type(content_type)
            .body(text.clone())
    })
}
