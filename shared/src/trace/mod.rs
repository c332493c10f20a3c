//! The spans of a trace: a request, what it asks of the database and of Svix, and the job
//! that it leads to.
//!
//! They are `tracing` spans of one target, which [`crate::otlp`] exports, and which the log
//! never shows. Without a collector nobody listens to the target, and a span costs a look at
//! a static. Their attributes are written out here: nothing that a client, an account or
//! Svix chooses becomes one, and no event of the log becomes part of a trace.

mod parent;

use opentelemetry::trace::{TraceContextExt, TraceId};
use opentelemetry::{Context, KeyValue};
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use uuid::Uuid;

pub use parent::TraceParent;

use crate::metrics::{AttemptOutcome, Operation};
use crate::store::Job;

/// The target of all spans that are exported.
pub const TARGET: &str = "partner_keys::trace";

/// How a span says that what it stands for failed.
const ERROR: &str = "ERROR";

/// Begins the span of a request. It continues the trace of `parent`, or begins a trace.
pub fn request(id: Uuid, method: &'static str, parent: Option<TraceParent>) -> Span {
    let span = tracing::info_span!(
        target: TARGET,
        parent: None,
        "request",
        "otel.kind" = "server",
        "otel.name" = method,
        "otel.status_code" = Empty,
        "http.request.method" = method,
        "http.route" = Empty,
        "http.response.status_code" = Empty,
        "url.scheme" = "http",
        "error.type" = Empty,
        "partner_keys.request_id" = %id,
    );
    continue_from(&span, parent);
    span
}

/// Records the answer to a request. The route is a template of ours, or empty.
pub fn answered(span: &Span, method: &'static str, route: &str, status: u16) {
    if span.is_disabled() {
        return;
    }
    if !route.is_empty() {
        // A field does not rename a span that has begun.
        span.context()
            .span()
            .update_name(format!("{method} {route}"));
        span.record("http.route", route);
    }
    span.record("http.response.status_code", i64::from(status));
    if status >= 500 {
        span.record("error.type", status.to_string());
        span.record("otel.status_code", ERROR);
    }
}

/// Begins the span of a job. It continues the trace of the request that made the work due.
/// The job of a sweep begins a trace.
pub fn job(job: Job) -> Span {
    let span = tracing::info_span!(
        target: TARGET,
        parent: None,
        "job",
        "otel.kind" = "consumer",
        "otel.name" = "process job",
        "messaging.operation.type" = "process",
        "messaging.operation.name" = "process",
        "partner_keys.key_id" = %job.key_id,
        "partner_keys.attempt" = job.attempt + 1,
    );
    continue_from(&span, job.trace);
    span
}

/// Records the outcome of the current job.
pub fn attempted(outcome: AttemptOutcome) {
    Context::map_current(|context| {
        let span = context.span();
        span.set_attribute(KeyValue::new("partner_keys.outcome", outcome.as_str()));
        if outcome.is_failure() {
            span.set_status(opentelemetry::trace::Status::error(""));
        }
    });
}

/// Begins the span of a call to Svix. It has no id of ours or Svix's, so no URL.
pub fn svix_call(method: &'static str, operation: &'static str, to: (&str, &str)) -> Span {
    let (address, port) = to;
    tracing::info_span!(
        target: TARGET,
        "svix",
        "otel.kind" = "client",
        "otel.name" = format_args!("svix {operation}"),
        "otel.status_code" = Empty,
        "http.request.method" = method,
        "server.address" = address,
        "server.port" = port.parse::<i64>().ok(),
        "error.type" = Empty,
        "partner_keys.operation" = operation,
    )
}

/// Begins the span of an operation on the database, as its caller sees it: with the wait
/// for a connection, or for the batch that it is part of.
pub fn query(operation: Operation) -> Span {
    tracing::info_span!(
        target: TARGET,
        "query",
        "otel.kind" = "client",
        "otel.name" = operation.summary,
        "otel.status_code" = Empty,
        "db.system.name" = operation.system,
        "db.query.summary" = operation.summary,
        "error.type" = Empty,
    )
}

/// Records that what the span stands for failed. `kind` is one of a few words of ours.
pub fn failed(span: &Span, kind: &'static str) {
    span.record("error.type", kind);
    span.record("otel.status_code", ERROR);
}

/// Returns the id of the span's trace, if that is exported.
pub(crate) fn sampled(span: &Span) -> Option<TraceId> {
    if span.is_disabled() {
        return None;
    }
    let context = span.context();
    let context = context.span().span_context().clone();
    context.is_sampled().then(|| context.trace_id())
}

fn continue_from(span: &Span, parent: Option<TraceParent>) {
    if let Some(parent) = parent.filter(|_| !span.is_disabled()) {
        // It fails only if nobody listens to the span.
        let _ = span.set_parent(parent.context());
    }
}
