use std::fmt;

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest `traceparent` that is read. Later versions of the format may be longer than
/// the 55 characters of today's.
const MAX_LENGTH: usize = 256;

/// A span that others continue: its trace, its id, and whether it is sampled. Its text is
/// that of the header `traceparent`, in W3C's Trace Context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    trace: TraceId,
    span: SpanId,
    flags: TraceFlags,
}

/// The one header of a carrier.
struct Header<'a>(&'a str);

impl Extractor for Header<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == "traceparent").then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }
}

impl TraceParent {
    /// Reads the value of a `traceparent`. Returns `None` if it is malformed.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_LENGTH {
            return None;
        }
        let context =
            TraceContextPropagator::new().extract_with_context(&Context::new(), &Header(text));
        Self::of(context.span().span_context())
    }

    /// Returns the current span, if its trace is sampled.
    pub fn current() -> Option<Self> {
        Context::map_current(|context| {
            let span = context.span();
            let span = span.span_context();
            Self::of(span).filter(|_| span.is_sampled())
        })
    }

    fn of(span: &SpanContext) -> Option<Self> {
        span.is_valid().then(|| Self {
            trace: span.trace_id(),
            span: span.span_id(),
            flags: span.trace_flags() & TraceFlags::SAMPLED,
        })
    }

    /// Returns the context in which the span's children begin.
    pub(super) fn context(self) -> Context {
        let Self { trace, span, flags } = self;
        let span = SpanContext::new(trace, span, flags, true, TraceState::NONE);
        Context::new().with_remote_span_context(span)
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace, span, flags } = self;
        write!(f, "00-{trace}-{span}-{flags:02x}")
    }
}

impl Serialize for TraceParent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl TraceParent {
    /// Reads the member of a job. Others can write to the queue, and no job may be lost for
    /// its trace: whatever is no `traceparent` counts as none.
    pub fn read_leniently<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Self>, D::Error> {
        let member = serde_json::Value::deserialize(deserializer)?;
        Ok(member.as_str().and_then(Self::parse))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_traceparent_is_read_and_written_as_w3c_says() {
        for valid in [
            SAMPLED,
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
        ] {
            assert_eq!(TraceParent::parse(valid).unwrap().to_string(), valid);
        }
        // A later version may add members and flags.
        let later = format!("cc{}-what-the-future-will-be-like", &SAMPLED[2..]);
        assert_eq!(TraceParent::parse(&later).unwrap().to_string(), SAMPLED);
        for invalid in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            &format!("cc{}-{}", &SAMPLED[2..], "x".repeat(300)),
        ] {
            assert_eq!(TraceParent::parse(invalid), None, "{invalid}");
        }
    }

    #[test]
    fn without_a_trace_there_is_no_current_span() {
        assert_eq!(TraceParent::current(), None);
    }
}
