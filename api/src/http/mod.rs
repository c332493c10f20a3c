//! Applies the rules that hold for every request. The rules of one operation are in its
//! file of [`crate::routes`].

mod access_log;
mod allow;
mod body;
mod caching;
mod client_address;
mod error_response;
pub mod idempotency;
mod request_id;
mod request_trace;
mod static_text;

use std::sync::Arc;

use ipnet::IpNet;
use poem::endpoint::BoxEndpoint;
use poem::error::ResponseError;
use poem::http::header::{self, HeaderValue};
use poem::middleware::CatchPanic;
use poem::{Endpoint, EndpointExt, Request, Response};
use serde_json::Value;
use shared::server::close_after;
use shared::telemetry::{self, Subject};
use tracing::Instrument;

use crate::error::ApiError;
use access_log::AccessLine;
pub use access_log::Logged;
use allow::AllowedMethods;
use body::Received;
pub use body::{BodyRule, KeptBody};
pub use client_address::ClientAddress;
pub use request_id::current as current_request_id;
use request_trace::RequestTrace;
pub use static_text::{lazy_text, static_text};

/// Adds the rules that hold for every request to the routes. `document` is the OpenAPI document,
/// which names the methods of each path. `trusted_proxies` may name the client, and `logged`
/// says which requests the log shows.
pub fn wrap<E: Endpoint + 'static>(
    routes: E,
    document: &Value,
    trusted_proxies: Arc<[IpNet]>,
    bodies: BodyRule,
    logged: Logged,
) -> impl Endpoint<Output = Response> + use<E> + 'static {
    let routes = routes
        // The panic hook has logged the panic. Only the request that caused it fails.
        .with(CatchPanic::new().with_handler(|_panic| ApiError::internal().as_response()))
        // From here on there are only responses, no `poem::Error`.
        .catch_all_error(error_response::from_error);
    EveryRequest {
        routes: routes.boxed(),
        allowed: AllowedMethods::from_document(document),
        trusted_proxies,
        bodies,
        logged,
    }
}

/// An endpoint that applies the rules for every request and then calls the routes.
///
/// It is one endpoint and not a layer for each rule: each layer around another would copy
/// the request and the future of all that is within.
struct EveryRequest {
    routes: BoxEndpoint<'static, Response>,
    allowed: AllowedMethods,
    trusted_proxies: Arc<[IpNet]>,
    bodies: BodyRule,
    logged: Logged,
}

impl Endpoint for EveryRequest {
    type Output = Response;

    /// Answers with the request as the task's subject: log lines and errors need its id.
    async fn call(&self, request: Request) -> poem::Result<Response> {
        let id = request_id::of(&request);
        let trace = RequestTrace::begin(&self.trusted_proxies, id, &request);
        // Boxed, because the futures around it would copy it.
        let answer = Box::pin(self.answer(request));
        let answered = telemetry::about(Subject::Request(id), &trace.span(), answer);
        let answered = answered.instrument(trace.span());
        let mut response = answered.await;
        trace.end(&response);
        request_id::add_header(id, &mut response);
        Ok(response)
    }
}

impl EveryRequest {
    async fn answer(&self, mut request: Request) -> Response {
        client_address::find(&self.trusted_proxies, &mut request);
        let line = AccessLine::begin(&request);
        let uri = request.uri().clone();

        let received = body::receive(self.bodies, &mut request).await;
        let is_complete = matches!(received, Received::Completely);
        let mut response = match received {
            Received::Refused(error) => error.as_response(),
            Received::Completely | Received::InPart => self.routes.get_response(request).await,
        };
        if !is_complete {
            // The server closes a connection whose request was not read to its end.
            close_after(&mut response);
        }
        allow::add_header(&self.allowed, uri.path(), &mut response);
        let headers = response.headers_mut();
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        caching::forbid_by_default(headers);
        line.write(self.logged, &response);
        response
    }
}

const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

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
        let endpoint = wrap(
            routes,
            &json!({}),
            Arc::new([]),
            BodyRule::KeptAt(&[]),
            Logged::All,
        );
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
