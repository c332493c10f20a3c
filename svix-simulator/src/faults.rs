//! The faults, the requests they apply to, and when they end.

use std::sync::Mutex;
use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use tokio::time::Instant;

use super::pattern::{Pattern, Route};
use super::state::lock;

/// A failure that replaces or changes the response to a request.
///
/// The operation does not run, so no application is created, unless the variant
/// says otherwise or [`FaultBuilder::work_done`] is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// A response with this status, 200 to 599, and the body that Svix sends with it.
    #[serde(deserialize_with = "status")]
    Status(u16),
    /// A response with status 429.
    RateLimited,
    /// A lost race between creations. The first request for a uid is answered
    /// with 201 and all others with 409, even with `get_if_exists`. Other routes
    /// work as usual.
    Race,
    /// A delayed response. The operation runs immediately.
    #[serde(rename = "latency_ms", with = "millis")]
    Latency(Duration),
    /// No response. The connection stays open.
    Hang,
    /// A connection reset before the first byte of the response.
    Reset,
    /// A response that ends after half of its body, with the connection closed.
    /// The operation runs.
    TruncatedBody,
    /// A response with status 200 and an HTML page.
    NotJson,
    /// A response with status 200 and this many bytes of valid JSON that has
    /// none of the expected members.
    HugeBody(usize),
}

/// A fault, the requests that it applies to, and its end.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) pattern: Pattern,
    pub(super) fault: Fault,
    pub(super) work_done: bool,
    /// The number of requests it still applies to. `None`: no limit.
    pub(super) times: Option<u64>,
    /// The time when it ends. `None`: it does not end.
    pub(super) until: Option<Instant>,
}

impl Rule {
    fn has_ended(&self) -> bool {
        self.times == Some(0) || self.until.is_some_and(|until| until <= Instant::now())
    }
}

/// The rules that were set, oldest first.
#[derive(Default)]
pub(super) struct Faults(Mutex<Vec<Rule>>);

impl Faults {
    pub(super) fn build(&self, pattern: Pattern, fault: Fault) -> FaultBuilder<'_> {
        FaultBuilder {
            faults: self,
            rule: Rule {
                pattern,
                fault,
                work_done: false,
                times: None,
                until: None,
            },
        }
    }

    pub(super) fn replace(&self, rules: Vec<Rule>) {
        *lock(&self.0) = rules;
    }

    /// Returns the rules that have not ended.
    pub(super) fn active(&self) -> Vec<Rule> {
        let mut rules = lock(&self.0);
        rules.retain(|rule| !rule.has_ended());
        rules.clone()
    }

    /// Returns the fault that applies to this request, if any, and whether the
    /// operation runs before it. Counts the request against the fault's limit.
    pub(super) fn next_for(&self, route: Route, uid: Option<&str>) -> Option<(Fault, bool)> {
        let mut rules = lock(&self.0);
        rules.retain(|rule| !rule.has_ended());
        let rule = rules
            .iter_mut()
            .find(|rule| rule.pattern.matches(route, uid))?;
        if let Some(times) = &mut rule.times {
            *times -= 1; // cannot be 0: such a rule has ended
        }
        Some((rule.fault.clone(), rule.work_done))
    }
}

/// A fault that is not active yet. [`Self::times`], [`Self::lasting`] or
/// [`Self::until_cleared`] makes it active.
#[must_use = "a fault is not active until times, lasting or until_cleared is called"]
pub struct FaultBuilder<'a> {
    faults: &'a Faults,
    rule: Rule,
}

impl FaultBuilder<'_> {
    /// Runs the operation before the fault applies, as when a response is lost on
    /// its way: the application exists, but the client does not know.
    pub fn work_done(mut self) -> Self {
        self.rule.work_done = true;
        self
    }

    /// Applies the fault to the next `count` matching requests.
    pub fn times(mut self, count: u64) {
        self.rule.times = Some(count);
        self.until_cleared();
    }

    /// Applies the fault to matching requests for this time from now.
    pub fn lasting(mut self, time: Duration) {
        // A time too large for an `Instant` means that the fault does not end.
        self.rule.until = Instant::now().checked_add(time);
        self.until_cleared();
    }

    /// Applies the fault to matching requests until
    /// [`Simulator::clear_faults`](super::Simulator::clear_faults).
    pub fn until_cleared(self) {
        lock(&self.faults.0).push(self.rule);
    }
}

/// Deserializes the status of a final response. hyper does not send a status
/// below 200 as a response.
fn status<'a, D: Deserializer<'a>>(from: D) -> Result<u16, D::Error> {
    let code = u16::deserialize(from)?;
    if (200..600).contains(&code) {
        return Ok(code);
    }
    Err(D::Error::custom(format!(
        "invalid status {code}: use a status from 200 to 599"
    )))
}

/// The JSON format of a duration: whole milliseconds.
mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}
