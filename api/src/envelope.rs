//! What every request and response passes: a request id, the one error shape,
//! the headers that all responses carry, and a line in the log.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use poem::error::ReadBodyError;
use poem::http::header::{self, HeaderName, HeaderValue};
use poem::http::{HeaderMap, Method, StatusCode};
use poem::{Endpoint, IntoResponse, Middleware, PathPattern, Request, Response};
use serde_json::Value;
use tokio::time::Instant;
use tracing::Instrument;
use uuid::Uuid;

use crate::error::{ApiError, ErrorCode, messages};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The largest request body that is let through, in bytes. No operation takes
/// one; clients that send an empty object all the same are no trouble.
const MAX_BODY: usize = 16 * 1024;

/// How long a body is waited for. Nobody needs it, so then the request goes on.
const BODY_DEADLINE: Duration = Duration::from_secs(2);

/// The middleware around everything.
pub struct Envelope {
    /// The methods of each path of the document, for the `Allow` header.
    methods: Arc<HashMap<String, HeaderValue>>,
}

impl Envelope {
    /// For the paths of this OpenAPI document.
    pub fn new(document: &Value) -> Self {
        let paths = document["paths"].as_object().into_iter().flatten();
        let methods = paths.filter_map(|(path, operations)| {
            let methods = operations.as_object()?.keys();
            let mut methods: Vec<String> = methods.map(|m| m.to_uppercase()).collect();
            if methods.iter().any(|method| method == "GET") {
                methods.push("HEAD".into());
            }
            Some((
                path.clone(),
                HeaderValue::try_from(methods.join(", ")).ok()?,
            ))
        });
        Self {
            methods: Arc::new(methods.collect()),
        }
    }
}

impl<E: Endpoint> Middleware<E> for Envelope {
    type Output = Enveloped<E>;

    fn transform(&self, inner: E) -> Self::Output {
        Enveloped {
            inner,
            methods: Arc::clone(&self.methods),
        }
    }
}

/// An endpoint in its envelope.
pub struct Enveloped<E> {
    inner: E,
    methods: Arc<HashMap<String, HeaderValue>>,
}

impl<E: Endpoint> Endpoint for Enveloped<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let started = Instant::now();
        let request_id = request_id(request.headers());
        let method = loggable(request.method());
        let path = request.uri().path().to_owned();
        let span = tracing::info_span!("request", %request_id);

        let answer = self.answer(request, &request_id).instrument(span.clone());
        let mut response = answer.await;

        let allow = self.methods.get(&path);
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::try_from(&request_id) {
            headers.insert(X_REQUEST_ID, id);
        }
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        headers
            .entry(header::CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-store"));
        if response.status() == StatusCode::METHOD_NOT_ALLOWED {
            let read_only = HeaderValue::from_static("GET, HEAD");
            let allow = allow.cloned().unwrap_or(read_only);
            response.headers_mut().insert(header::ALLOW, allow);
        }

        // The route, not the path: whatever a client puts into its URL by
        // mistake, a key for instance, must not reach the log.
        let route = response
            .data::<PathPattern>()
            .map_or("-", |pattern| &pattern.0);
        let status = response.status().as_u16();
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        tracing::info!(parent: &span, method, route, status, micros, "answered");
        Ok(response)
    }
}

impl<E: Endpoint> Enveloped<E> {
    /// The inner answer, errors in the one shape.
    async fn answer(&self, mut request: Request, request_id: &str) -> Response {
        let body = discard_body(&mut request).await;
        let mut response = match body {
            Discarded::Whole | Discarded::Slow => self.inner_answer(request, request_id).await,
            Discarded::TooLarge => ApiError::new(ErrorCode::PayloadTooLarge, messages::LARGE_BODY)
                .into_response(request_id),
            // Half a request is none: its sender may be gone, and what it asked for with it.
            Discarded::Broken => ApiError::new(ErrorCode::BadRequest, messages::BROKEN_BODY)
                .into_response(request_id),
        };
        if body != Discarded::Whole {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        response
    }

    async fn inner_answer(&self, request: Request, request_id: &str) -> Response {
        let answer = AssertUnwindSafe(self.inner.call(request)).catch_unwind();
        match answer.await {
            Ok(Ok(response)) => response.into_response(),
            Ok(Err(error)) => {
                let route = error.data::<PathPattern>().cloned();
                let mut response = ApiError::from(error).into_response(request_id);
                if let Some(route) = route {
                    response.set_data(route);
                }
                response
            }
            // The panic hook has logged it.
            Err(_panic) => ApiError::internal().into_response(request_id),
        }
    }
}

/// What became of a request's body.
#[derive(Debug, PartialEq, Eq)]
enum Discarded {
    /// It was read to its end.
    Whole,
    /// It is larger than is let through.
    TooLarge,
    /// The rest of it did not come in time.
    Slow,
    /// It is malformed, or the connection ended.
    Broken,
}

/// Reads the body, for nothing: the server closes a connection with a body that
/// was not read to its end, and the client's next request on it would fail. Where
/// it is not read, the answer says that the connection ends.
async fn discard_body(request: &mut Request) -> Discarded {
    if content_length(request.headers()) > MAX_BODY {
        return Discarded::TooLarge; // at once; one that waits for `100 Continue` sends nothing
    }
    let reading = request.take_body().into_bytes_limit(MAX_BODY);
    match tokio::time::timeout(BODY_DEADLINE, reading).await {
        Ok(Ok(_)) => Discarded::Whole,
        Ok(Err(ReadBodyError::PayloadTooLarge)) => Discarded::TooLarge,
        Ok(Err(_)) => Discarded::Broken,
        Err(_elapsed) => Discarded::Slow,
    }
}

/// The method, for the log. Any word may stand in its place, a key for instance.
fn loggable(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn content_length(headers: &HeaderMap) -> usize {
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
}

/// The id that a proxy gave the request, if it is a UUID; anything else could be
/// a secret or a forged log line. Otherwise a fresh one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(X_REQUEST_ID).and_then(|id| id.to_str().ok());
    let given = given.and_then(|id| Uuid::try_parse(id).ok());
    given.unwrap_or_else(Uuid::new_v4).to_string()
}
