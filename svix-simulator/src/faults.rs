//! What goes wrong, for which requests, and for how long.

use std::sync::Mutex;
use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use tokio::time::Instant;

use super::calls::Route;
use super::lock;

/// What a request meets instead of its answer.
///
/// Unless said otherwise nothing is done for such a request: no application is
/// created. [`Fallible::work_done`] changes that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// This status, 200 to 599, with the body that Svix gives to it.
    #[serde(deserialize_with = "status")]
    Status(u16),
    /// 429.
    RateLimited,
    /// A create finds that another was faster: the first for a uid is answered
    /// 201, every other 409, `get_if_exists` or not. Other routes are answered as usual.
    Race,
    /// The work is done at once, its answer given only after this time.
    #[serde(rename = "latency_ms", with = "millis")]
    Latency(Duration),
    /// No answer, ever; the connection stays open.
    Hang,
    /// The connection is reset before the first byte of an answer.
    Reset,
    /// The work is done, half of its answer given, and the connection closed.
    TruncatedBody,
    /// 200 with an HTML page.
    NotJson,
    /// 200 with this many bytes of valid JSON, none of use.
    HugeBody(usize),
}

/// Which requests: of one route or any, for one application or any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pattern {
    route: Option<Route>,
    uid: Option<String>,
}

impl Pattern {
    /// Every request.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Requests to create an application.
    #[must_use]
    pub fn create() -> Self {
        Route::Create.into()
    }

    /// Requests to read an application.
    #[must_use]
    pub fn get() -> Self {
        Route::Get.into()
    }

    /// Requests for a portal link.
    #[must_use]
    pub fn portal() -> Self {
        Route::Portal.into()
    }

    /// Requests to end portal sessions.
    #[must_use]
    pub fn expire_all() -> Self {
        Route::ExpireAll.into()
    }

    /// Only those for the application of this uid, also where the path has its id.
    #[must_use]
    pub fn uid(self, uid: impl Into<String>) -> Self {
        Self {
            uid: Some(uid.into()),
            ..self
        }
    }

    pub(super) fn matches(&self, route: Route, uid: Option<&str>) -> bool {
        self.route.is_none_or(|wanted| wanted == route)
            && (self.uid.is_none() || self.uid.as_deref() == uid)
    }

    pub(super) fn of(route: Option<Route>, uid: Option<String>) -> Self {
        Self { route, uid }
    }

    pub(super) fn parts(&self) -> (Option<Route>, Option<&str>) {
        (self.route, self.uid.as_deref())
    }
}

impl From<Route> for Pattern {
    fn from(route: Route) -> Self {
        Self::of(Some(route), None)
    }
}

/// One fault as it is set.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) pattern: Pattern,
    pub(super) fault: Fault,
    pub(super) work_done: bool,
    /// How many more requests meet it; `None`: without limit.
    pub(super) times: Option<u64>,
    /// When it ends; `None`: never.
    pub(super) until: Option<Instant>,
}

impl Rule {
    fn is_spent(&self) -> bool {
        self.times == Some(0) || self.until.is_some_and(|until| until <= Instant::now())
    }
}

/// The faults in force, oldest first.
#[derive(Default)]
pub(super) struct Faults(Mutex<Vec<Rule>>);

impl Faults {
    pub(super) fn set(&self, pattern: Pattern, fault: Fault) -> Fallible<'_> {
        Fallible {
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

    pub(super) fn in_force(&self) -> Vec<Rule> {
        let mut rules = lock(&self.0);
        rules.retain(|rule| !rule.is_spent());
        rules.clone()
    }

    /// The fault that this request meets, if any, and whether its work is done all the same.
    pub(super) fn meet(&self, route: Route, uid: Option<&str>) -> Option<(Fault, bool)> {
        let mut rules = lock(&self.0);
        rules.retain(|rule| !rule.is_spent());
        let rule = rules
            .iter_mut()
            .find(|rule| rule.pattern.matches(route, uid))?;
        if let Some(times) = &mut rule.times {
            *times -= 1; // not 0: that is spent
        }
        Some((rule.fault.clone(), rule.work_done))
    }
}

/// A fault that is not yet in force: it is once one of [`Self::times`],
/// [`Self::lasting`] or [`Self::until_cleared`] is called.
#[must_use = "a fault is in force once its duration is said: times, lasting or until_cleared"]
pub struct Fallible<'a> {
    faults: &'a Faults,
    rule: Rule,
}

impl Fallible<'_> {
    /// The request's work is done before it meets the fault, as when an answer
    /// is lost on its way: the application exists, the client does not know.
    pub fn work_done(mut self) -> Self {
        self.rule.work_done = true;
        self
    }

    /// For the next `count` requests that match.
    pub fn times(mut self, count: u64) {
        self.rule.times = Some(count);
        self.until_cleared();
    }

    /// For this time from now.
    pub fn lasting(mut self, time: Duration) {
        self.rule.until = Instant::now().checked_add(time); // too far off: never
        self.until_cleared();
    }

    /// Until [`Simulator::clear_faults`](super::Simulator::clear_faults).
    pub fn until_cleared(self) {
        lock(&self.faults.0).push(self.rule);
    }
}

/// A status below 200 is no answer yet: hyper would not send it.
fn status<'a, D: Deserializer<'a>>(from: D) -> Result<u16, D::Error> {
    let code = u16::deserialize(from)?;
    if (200..600).contains(&code) {
        return Ok(code);
    }
    Err(D::Error::custom("a status is 200 to 599"))
}

/// Durations in JSON are whole milliseconds.
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
