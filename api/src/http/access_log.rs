//! The log line of a request, and its measurement.

use poem::http::{Method, StatusCode};
use poem::{PathPattern, Request, Response};
use shared::metrics;
use tokio::time::Instant;

use super::ClientAddress;

/// The requests that are logged. All of them are at the level `debug`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logged {
    /// Every request.
    All,
    /// Every request but those answered with 200: key checks come by the thousand, and their
    /// callers log them.
    AllButSuccesses,
}

/// The log line of a request that is being answered.
pub struct AccessLine {
    started: Instant,
    method: &'static str,
    client: ClientAddress,
}

impl AccessLine {
    /// Begins to measure the request's duration.
    pub fn begin(request: &Request) -> Self {
        Self {
            started: Instant::now(),
            method: method_name(request.method()),
            client: ClientAddress::of(request),
        }
    }

    /// Measures the request, and logs its method, route, status, client and duration in
    /// microseconds.
    ///
    /// The route is logged, not the path: a client may put a secret into its URL by
    /// mistake, and that must not reach the log.
    pub fn write(self, logged: Logged, response: &Response) {
        let Self {
            started,
            method,
            client,
        } = self;
        let route = response.data::<PathPattern>();
        let route = route.map_or("", |pattern| &pattern.0);
        let took = started.elapsed();
        metrics::answered(method, route, response.status(), took);
        let route = if route.is_empty() { "-" } else { route };
        let status = response.status().as_u16();
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if logged == Logged::AllButSuccesses && response.status() == StatusCode::OK {
            tracing::debug!(method, route, status, %client, micros, "answered");
        } else {
            tracing::info!(method, route, status, %client, micros, "answered");
        }
    }
}

/// Returns the method's name if it is a standard one, or OpenTelemetry's `_OTHER`. A client
/// may send any other word as the method, a secret too.
pub(super) fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "_OTHER",
    }
}
