use ipnet::IpNet;
use poem::http::HeaderName;
use poem::{PathPattern, Request, Response};
use shared::trace::{self, TraceParent};
use tracing::Span;
use uuid::Uuid;

use super::access_log::method_name;
use super::client_address;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The probes of load balancers and orchestrators, which come every few seconds and would
/// be most traces of a quiet service.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// The span of a request in its trace. Without a collector it is empty.
pub struct RequestTrace {
    span: Span,
    method: &'static str,
}

impl RequestTrace {
    /// Begins the span. It continues the trace that a trusted proxy names. From anybody else
    /// `traceparent` is not taken: a client could mix its requests into the traces of others,
    /// and choose which requests are exported.
    pub fn begin(trusted_proxies: &[IpNet], id: Uuid, request: &Request) -> Self {
        let method = method_name(request.method());
        let span = if PROBES.contains(&request.uri().path()) {
            Span::none()
        } else {
            let is_trusted = || client_address::is_from_proxy(trusted_proxies, request);
            let parent = parent(request).filter(|_| is_trusted());
            trace::request(id, method, parent)
        };
        Self { span, method }
    }

    /// Returns the span, for the time in which the request is answered.
    pub fn span(&self) -> Span {
        self.span.clone()
    }

    /// Ends the span, with the answer.
    pub fn end(self, response: &Response) {
        let route = response.data::<PathPattern>();
        let route = route.map_or("", |pattern| &pattern.0);
        trace::answered(&self.span, self.method, route, response.status().as_u16());
    }
}

/// Returns the span that the request names, if it names one.
fn parent(request: &Request) -> Option<TraceParent> {
    let mut values = request.headers().get_all(TRACEPARENT).iter();
    let (value, more) = (values.next()?, values.next());
    let text = value.to_str().ok().filter(|_| more.is_none())?;
    TraceParent::parse(text)
}
