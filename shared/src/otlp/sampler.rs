use opentelemetry::trace::{Link, SpanKind, TraceContextExt, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, ShouldSample};

/// A sampler that lets requests and jobs alone begin a trace.
///
/// The sweep and the tasks of batches ask the database many times a second, for nobody. Each
/// statement would be a trace of its own.
#[derive(Debug, Clone)]
pub(super) struct RequestsAndJobs(pub(super) Sampler);

impl ShouldSample for RequestsAndJobs {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let has_parent = parent.is_some_and(|parent| parent.span().span_context().is_valid());
        if *kind == SpanKind::Client && !has_parent {
            return SamplingResult {
                decision: SamplingDecision::Drop,
                attributes: Vec::new(),
                trace_state: TraceState::NONE,
            };
        }
        let Self(sampler) = self;
        sampler.should_sample(parent, trace, name, kind, attributes, links)
    }
}
