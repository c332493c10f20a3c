use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::ids::KeyId;
use crate::trace::TraceParent;

/// A hint that an attempt is due. The queue holds nothing else.
///
/// Two are equal if they name the same attempt, whichever traces they belong to.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, sqlx::FromRow)]
pub struct Job {
    /// The key's id, which names the row.
    pub key_id: KeyId,
    /// The row's `attempts` when the job was created. A claim succeeds only while they
    /// are equal, so a job that comes late or twice does nothing.
    pub attempt: i32,
    /// The span of the request that made the work due, if its trace is exported. Programs
    /// of other versions may send none, and ignore it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "TraceParent::read_leniently"
    )]
    #[sqlx(skip)]
    pub trace: Option<TraceParent>,
}

impl Job {
    /// Creates the job of this attempt. It belongs to no trace.
    #[must_use]
    pub fn new(key_id: KeyId, attempt: i32) -> Self {
        Self {
            key_id,
            attempt,
            trace: None,
        }
    }

    /// Returns the job as part of the trace that is being recorded, if there is one.
    #[must_use]
    pub fn in_current_trace(self) -> Self {
        let trace = TraceParent::current();
        Self { trace, ..self }
    }

    fn identity(&self) -> (KeyId, i32) {
        (self.key_id, self.attempt)
    }
}

impl PartialEq for Job {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for Job {}

impl Hash for Job {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEY: &str = "0d9f6a52-7d3c-4b8e-9a51-2f1c6e7b8d90";
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn job() -> Job {
        Job::new(KeyId(KEY.parse().unwrap()), 3)
    }

    #[test]
    fn a_job_without_a_trace_is_as_small_as_before() {
        let text = serde_json::to_string(&job()).unwrap();
        assert_eq!(text, format!(r#"{{"key_id":"{KEY}","attempt":3}}"#));
    }

    #[test]
    fn a_job_is_read_whatever_its_trace_is() {
        for (trace, read) in [
            (json!(TRACE), Some(TRACE)),
            (json!("nonsense"), None),
            (json!(null), None),
            (json!({"a": [1]}), None),
        ] {
            let text = json!({"key_id": KEY, "attempt": 3, "trace": trace, "later": 1}).to_string();
            let read_job: Job = serde_json::from_str(&text).unwrap();
            assert_eq!(read_job, job());
            assert_eq!(
                read_job.trace.map(|trace| trace.to_string()).as_deref(),
                read
            );
        }
        let job = Job {
            trace: TraceParent::parse(TRACE),
            ..job()
        };
        let text = serde_json::to_string(&job).unwrap();
        assert!(
            text.ends_with(&format!(r#","trace":"{TRACE}"}}"#)),
            "{text}"
        );
    }
}
