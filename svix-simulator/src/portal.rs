//! The page that portal links open.

use poem::endpoint::make_sync;
use poem::http::header;
use poem::middleware::SetHeader;
use poem::{Endpoint, EndpointExt, IntoResponse, Route, get};

/// The Content-Security-Policy of the page. It allows only the page's own style
/// sheet: no scripts, frames or forms.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; \
                                       form-action 'none'; frame-ancestors 'none'";

pub(super) fn routes() -> impl Endpoint {
    Route::new()
        .at(
            "/login",
            get(file(
                "text/html; charset=utf-8",
                include_str!("portal.html"),
            )),
        )
        .at(
            "/login/style.css",
            get(file("text/css; charset=utf-8", include_str!("portal.css"))),
        )
        .with(
            SetHeader::new()
                .overriding(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY)
                .overriding(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
                .overriding(header::REFERRER_POLICY, "no-referrer")
                .overriding(header::CACHE_CONTROL, "no-store"),
        )
}

fn file(content_type: &'static str, content: &'static str) -> impl Endpoint {
    make_sync(move |_| content.with_content_type(content_type))
}
