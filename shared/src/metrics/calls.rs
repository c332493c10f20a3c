use std::sync::{Arc, LazyLock};
use std::time::Instant;

use prometheus::HistogramVec;
use tracing::Span;
use url::Url;

use super::durations;
use crate::svix::SvixFailure;
use crate::trace;

static CALLS: LazyLock<HistogramVec> = LazyLock::new(|| {
    durations(
        "http_client_request_duration_seconds",
        "Duration of calls to Svix, until their answer is read.",
        &[
            "http_request_method",
            "operation",
            "error_type",
            "server_address",
            "server_port",
        ],
        None,
    )
});

/// A call of Svix's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SvixCall {
    /// Gets an application, or creates it.
    CreateApplication,
    /// Gets an application.
    GetApplication,
    /// Asks for a portal link.
    OpenPortal,
    /// Ends portal sessions.
    EndPortalSessions,
    /// Lists webhook endpoints.
    ListEndpoints,
    /// Changes a webhook endpoint.
    PatchEndpoint,
}

impl SvixCall {
    /// Returns the method and the name of the operation.
    fn labels(self) -> [&'static str; 2] {
        match self {
            Self::CreateApplication => ["POST", "create_application"],
            Self::GetApplication => ["GET", "get_application"],
            Self::OpenPortal => ["POST", "open_portal"],
            Self::EndPortalSessions => ["POST", "end_portal_sessions"],
            Self::ListEndpoints => ["GET", "list_endpoints"],
            Self::PatchEndpoint => ["PATCH", "patch_endpoint"],
        }
    }
}

/// The calls of one client of Svix. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SvixCalls {
    address: Arc<str>,
    port: Arc<str>,
}

impl SvixCalls {
    /// Returns the calls to the server at this URL. Nothing but its host and its port is shown.
    pub fn to(server: &str) -> Self {
        let url = Url::parse(server).ok();
        let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
        let port = url.as_ref().and_then(Url::port_or_known_default);
        Self {
            address: host.into(),
            port: port.map(|port| port.to_string()).unwrap_or_default().into(),
        }
    }

    /// Begins to measure a call.
    pub fn begin(&self, call: SvixCall) -> RunningCall<'_> {
        let [method, operation] = call.labels();
        RunningCall {
            to: self,
            call,
            span: trace::svix_call(method, operation, (&*self.address, &*self.port)),
            began: Instant::now(),
            // Whoever drops the call did not want to wait longer.
            error: "timed_out",
        }
    }
}

/// A call that is being made. It is measured, and its span ends, when it is dropped.
#[derive(Debug)]
pub struct RunningCall<'a> {
    to: &'a SvixCalls,
    call: SvixCall,
    span: Span,
    began: Instant,
    error: &'static str,
}

impl RunningCall<'_> {
    /// Records the call's result.
    pub fn ended(mut self, failure: Option<SvixFailure>) {
        self.error = failure.map_or("", SvixFailure::as_str);
    }
}

impl Drop for RunningCall<'_> {
    fn drop(&mut self) {
        let [method, operation] = self.call.labels();
        let to = self.to;
        if !self.error.is_empty() {
            trace::failed(&self.span, self.error);
        }
        CALLS
            .with_label_values(&[method, operation, self.error, &*to.address, &*to.port])
            .observe(self.began.elapsed().as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_servers_url_only_the_host_and_the_port_are_shown() {
        for (url, address, port) in [
            ("https://api.eu.svix.com", "api.eu.svix.com", "443"),
            (
                "http://user:secret@127.0.0.1:8071/path",
                "127.0.0.1",
                "8071",
            ),
            ("secret", "", ""),
        ] {
            let calls = SvixCalls::to(url);
            assert_eq!((&*calls.address, &*calls.port), (address, port), "{url}");
        }
    }
}
