//! The log line of a request, and its measurement.

use std::time::Duration;

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

/// nginx's status for a request whose client has gone before the answer. Nobody receives it.
const CLIENT_GONE: u16 = 499;

/// The log line of a request that is being answered. If it is dropped before the answer, it says
/// that the client has gone: then hyper drops whatever answers the request.
pub struct AccessLine {
    started: Instant,
    method: &'static str,
    client: ClientAddress,
    is_written: bool,
}

impl AccessLine {
    /// Begins to measure the request's duration.
    pub fn begin(request: &Request) -> Self {
        Self {
            started: Instant::now(),
            method: method_name(request.method()),
            client: ClientAddress::of(request),
            is_written: false,
        }
    }

    /// Measures the request, and logs its method, route, status, client and duration in
    /// microseconds.
    ///
    /// The route is logged, not the path: a client may put a secret into its URL by
    /// mistake, and that must not reach the log.
    pub fn write(mut self, logged: Logged, response: &Response) {
        self.is_written = true;
        let Self { method, client, .. } = &self;
        let route = response.data::<PathPattern>();
        let route = route.map_or("", |pattern| &pattern.0);
        let took = self.started.elapsed();
        metrics::answered(method, route, response.status(), took);
        let route = if route.is_empty() { "-" } else { route };
        let status = response.status().as_u16();
        let micros = micros(took);
        if logged == Logged::AllButSuccesses && response.status() == StatusCode::OK {
            tracing::debug!(method, route, status, %client, micros, "answered");
        } else {
            tracing::info!(method, route, status, %client, micros, "answered");
        }
    }
}

impl Drop for AccessLine {
    fn drop(&mut self) {
        if self.is_written {
            return;
        }
        let Self { method, client, .. } = self;
        let took = self.started.elapsed();
        if let Ok(status) = StatusCode::from_u16(CLIENT_GONE) {
            metrics::answered(method, "", status, took);
        }
        let (status, micros) = (CLIENT_GONE, micros(took));
        tracing::info!(method, route = "-", status, %client, micros, "the client has gone");
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
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
