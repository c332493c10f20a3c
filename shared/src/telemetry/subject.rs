//! The request or the job that the current task serves. Its log lines name it.
//!
//! It is not a span of `tracing`, which would be formatted and registered for each request. That
//! was a tenth of the work of a key check, and most key checks write no line.

use std::fmt::{self, Display};

use opentelemetry::trace::TraceId;
use tracing::Span;
use uuid::Uuid;

use crate::ids::KeyId;
use crate::trace;

/// A request or a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A request, by its id.
    Request(Uuid),
    /// A job, by the key that it is about.
    Job(KeyId),
}

/// A subject as the log names it. As text, it is the end of a line for people.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named {
    subject: Subject,
    /// The trace that it is part of, if that is exported.
    trace: Option<TraceId>,
}

tokio::task_local! {
    static CURRENT: Named;
}

/// Runs a future whose log lines name the subject. `trace` is the subject's span in a trace.
pub fn about<F: Future>(
    subject: Subject,
    trace: &Span,
    future: F,
) -> impl Future<Output = F::Output> + use<F> {
    let trace = trace::sampled(trace);
    CURRENT.scope(Named { subject, trace }, future)
}

/// Returns the request or the job that the current task serves, or `None` if it serves neither.
pub fn current() -> Option<Subject> {
    named().map(|named| named.subject)
}

pub(super) fn named() -> Option<Named> {
    CURRENT.try_with(|named| *named).ok()
}

/// Runs a function whose log lines name the subject, in this trace.
#[cfg(test)]
pub(super) fn sync_about(subject: Subject, trace: TraceId, function: impl FnOnce()) {
    let trace = Some(trace);
    CURRENT.sync_scope(Named { subject, trace }, function);
}

impl Named {
    /// Returns the kind of the subject.
    pub(super) fn kind(&self) -> &'static str {
        match self.subject {
            Subject::Request(_) => "request",
            Subject::Job(_) => "job",
        }
    }

    /// Calls `member` with the name and the value of each id of the subject.
    pub(super) fn each_id(&self, mut member: impl FnMut(&'static str, &dyn Display)) {
        match &self.subject {
            Subject::Request(id) => member("request_id", id),
            Subject::Job(key) => member("key_id", key),
        }
        if let Some(trace) = &self.trace {
            member("trace_id", trace);
        }
    }
}

impl Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut written = Ok(());
        self.each_id(|name, id| written = written.and_then(|()| write!(f, " {name}={id}")));
        written
    }
}
