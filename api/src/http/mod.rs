//! Applies the rules that hold for every request, and finds the endpoint for its path. The
//! rules of one operation are in its file of [`crate::routes`].

mod access_log;
mod body;
mod caching;
mod client_address;
mod error_response;
pub mod idempotency;
mod request_id;
mod request_trace;
mod routes;
mod static_text;

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use futures_util::FutureExt;
use ipnet::IpNet;
use poem::error::ResponseError;
use poem::http::header::{self, HeaderValue};
use poem::{Endpoint, Request, Response};
use shared::server::close_after;
use shared::telemetry::{self, Subject};
use tracing::Instrument;

use crate::error::ApiError;
use access_log::AccessLine;
pub use access_log::Logged;
use body::Received;
pub use body::{BodyRule, KeptBody};
pub use client_address::ClientAddress;
pub use request_id::current as current_request_id;
use request_trace::RequestTrace;
pub use routes::{RouteTable, Routes};
pub use static_text::{lazy_text, static_text};

/// An endpoint that applies the rules for every request and then calls the routes. It never
/// fails: it turns each error into a response.
///
/// It is one endpoint and not a layer for each rule: each layer around another would copy
/// the request and the future of all that is within.
pub struct EveryRequest<E, P> {
    /// The routes.
    pub routes: E,
    /// Adds to a request what the operations need.
    pub prepare: P,
    /// The proxies that may name the client.
    pub trusted_proxies: Arc<[IpNet]>,
    /// How request bodies are treated.
    pub bodies: BodyRule,
    /// The requests that the log shows.
    pub logged: Logged,
}

impl<E, P> Endpoint for EveryRequest<E, P>
where
    E: Endpoint<Output = Response>,
    P: Fn(&mut Request) + Send + Sync,
{
    type Output = Response;

    /// Answers with the request as the task's subject: log lines and errors need its id.
    fn call(&self, request: Request) -> impl Future<Output = poem::Result<Response>> + Send {
        let id = request_id::of(&request);
        let trace = RequestTrace::begin(&self.trusted_proxies, id, &request);
        // Boxed, because the futures around it would copy it.
        let answer = Box::pin(self.answer(request));
        let answered = telemetry::about(Subject::Request(id), &trace.span(), answer);
        let answered = answered.instrument(trace.span());
        async move {
            let mut response = answered.await;
            trace.end(&response);
            request_id::add_header(id, &mut response);
            Ok(response)
        }
    }
}

impl<E, P> EveryRequest<E, P>
where
    E: Endpoint<Output = Response>,
    P: Fn(&mut Request) + Send + Sync,
{
    #[expect(
        clippy::manual_async_fn,
        reason = "the future of an async function has an argument twice that it needs after an await"
    )]
    fn answer(&self, mut request: Request) -> impl Future<Output = Response> + Send {
        async move {
            client_address::find(&self.trusted_proxies, &mut request);
            let line = AccessLine::begin(&request);
            let received = body::receive(self.bodies, &mut request).await;
            let is_complete = matches!(received, Received::Completely);
            let mut response = match received {
                Received::Refused(error) => error.as_response(),
                Received::Completely | Received::InPart => {
                    (self.prepare)(&mut request);
                    self.routed(request).await
                }
            };
            if !is_complete {
                // The server closes a connection whose request was not read to its end.
                close_after(&mut response);
            }
            let headers = response.headers_mut();
            headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
            caching::forbid_by_default(headers);
            line.write(self.logged, &response);
            response
        }
    }

    /// Returns the response of the routes. An error or a panic becomes a response too. The panic
    /// hook has already logged a panic, and only the request that caused it fails.
    fn routed(&self, request: Request) -> impl Future<Output = Response> + Send {
        let called = panic::catch_unwind(AssertUnwindSafe(|| self.routes.call(request)));
        async move {
            let answered = match called {
                Ok(answering) => AssertUnwindSafe(answering).catch_unwind().await,
                Err(panic) => Err(panic),
            };
            match answered {
                Ok(Ok(response)) => response,
                Ok(Err(error)) => error_response::from_error(&error),
                Err(_panic) => ApiError::internal().as_response(),
            }
        }
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
    use poem::{Request, Response};
    use serde_json::Value;

    use super::*;
    use crate::openapi;

    /// Panics before it returns the future.
    struct PanicsAtOnce;

    impl Endpoint for PanicsAtOnce {
        type Output = Response;

        #[expect(unreachable_code, reason = "the compiler needs to know the future")]
        fn call(&self, _: Request) -> impl Future<Output = poem::Result<Response>> + Send {
            panic!("this panic is part of the test");
            std::future::pending()
        }
    }

    fn endpoint<E>(routes: E) -> EveryRequest<E, impl Fn(&mut Request) + Send + Sync> {
        EveryRequest {
            routes,
            prepare: |_: &mut Request| {},
            trusted_proxies: Arc::new([]),
            bodies: BodyRule::KeptAt(&[]),
            logged: Logged::All,
        }
    }

    #[tokio::test]
    async fn a_panic_becomes_a_500_with_the_id_of_its_request() {
        let panics = make_sync(|_| -> Response { panic!("this panic is part of the test") });
        becomes_a_500(panics).await;
        becomes_a_500(PanicsAtOnce).await;
    }

    /// The largest block, in bytes, that glibc keeps for the thread that has freed it. A larger
    /// one takes much longer, and threads may wait for each other.
    const CACHED: usize = 1032;

    #[test]
    fn a_request_being_answered_is_in_a_block_that_malloc_keeps() {
        let service = openapi::internal_service();
        let endpoint = endpoint(service.routes);
        let answer = endpoint.answer(Request::default());
        assert!(size_of_val(&answer) <= CACHED, "{}", size_of_val(&answer));
    }

    async fn becomes_a_500(routes: impl Endpoint<Output = Response>) {
        const ID: &str = "0d9f6a52-7d3c-4b8e-9a51-2f1c6e7b8d90";
        let endpoint = endpoint(routes);
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
