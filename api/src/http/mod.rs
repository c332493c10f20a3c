//! The layers around all routes. This module has the rules for every request; those of
//! one operation are in its file of [`crate::routes`].

mod access_log;
mod allow;
mod body;
mod caching;
mod client_address;
mod error_response;
mod request_id;
mod static_text;

use std::sync::Arc;

use ipnet::IpNet;
use poem::error::ResponseError;
use poem::http::header;
use poem::middleware::{CatchPanic, SetHeader};
use poem::{Endpoint, EndpointExt};
use serde_json::Value;

use crate::error::ApiError;
use allow::AllowedMethods;
pub use body::BodyRule;
pub use client_address::ClientAddress;
pub use request_id::current as current_request_id;
pub use static_text::static_text;

/// Wraps the layers around the routes. `document` is the OpenAPI document,
/// which names the methods of each path. `trusted_proxies` may name the client.
///
/// The first layer is the innermost. A request passes them from the last to the
/// first, a response from the first to the last.
pub fn wrap<E: Endpoint + 'static>(
    routes: E,
    document: &Value,
    trusted_proxies: Arc<[IpNet]>,
    bodies: BodyRule,
) -> impl Endpoint + use<E> + 'static {
    let allowed = Arc::new(AllowedMethods::from_document(document));
    routes
        // The panic hook has logged the panic. Only the request that caused it fails.
        .with(CatchPanic::new().with_handler(|_panic| ApiError::internal().as_response()))
        // From here on there are only responses, no `poem::Error`.
        .catch_all_error(error_response::from_error)
        .boxed() // a type of all layers would be too deep for the compiler
        // No operation runs for a request whose body was refused.
        .around(move |next, request| body::read(bodies, next, request))
        // The headers are for all of these responses.
        .around(move |next, request| allow::add_header(Arc::clone(&allowed), next, request))
        .with(SetHeader::new().overriding(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .around(caching::forbid_by_default)
        // It logs the final status, and measures the layers above too.
        .around(access_log::write)
        .around(move |next, request| {
            client_address::find(Arc::clone(&trusted_proxies), next, request)
        })
        // The outermost: log lines and errors of all layers need the id.
        .around(request_id::assign)
}

/// Exposes private functions of this module to `crate::fuzz`.
#[cfg(test)]
pub(crate) mod fuzz {
    use std::net::IpAddr;

    /// Returns the client's address, if one network is trusted.
    pub fn client_of(connection: IpAddr, headers: &poem::http::HeaderMap, trusted: &str) -> IpAddr {
        let trusted = trusted.parse().into_iter().collect::<Vec<_>>();
        super::client_address::client(connection, headers, &trusted)
    }
}

#[cfg(test)]
mod tests {
    use poem::endpoint::make_sync;
    use poem::http::StatusCode;
    use poem::{Request, Response, Route};
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_a_500_with_the_id_of_its_request() {
        const ID: &str = "0d9f6a52-7d3c-4b8e-9a51-2f1c6e7b8d90";
        let panics = make_sync(|_| -> Response { panic!("this panic is part of the test") });
        let routes = Route::new().at("/", panics);
        let endpoint = wrap(routes, &json!({}), Arc::new([]), BodyRule::Discarded);
        let request = Request::builder().header("x-request-id", ID).finish();
        let response = Box::pin(endpoint.get_response(request)).await;

        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.header("x-request-id"), Some(ID));
        assert_eq!(response.header("cache-control"), Some("no-store"));
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
        let body: Value = response.into_body().into_json().await.unwrap();
        assert_eq!(body["error"]["code"], "internal");
        assert_eq!(body["error"]["request_id"], ID);
    }
}
