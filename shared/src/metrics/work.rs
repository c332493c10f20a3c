//! What the service is for: keys, the attempts to set up their webhooks, and what is left
//! to do.

use std::sync::LazyLock;
use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGaugeVec};

use super::{counter, counters, gauges, histogram};
use crate::clock::Timestamp;
use crate::store::Backlog;

/// The upper bounds for the time until a key is set up, in seconds. The retries go on for
/// hours.
const UNTIL_PROVISIONED: &[f64] = &[
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0,
    36000.0,
];

/// Keys created.
pub static KEYS_CREATED: LazyLock<IntCounter> =
    LazyLock::new(|| counter("partner_keys_created_total", "Keys created."));

/// Keys that ended through the api.
pub static KEYS_REVOKED: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "partner_keys_revoked_total",
        "Keys that ended through the api: revoked, ended with a rotation, or reported as leaked. \
         The commands do not count here.",
    )
});

/// Nudges that did not reach the queue.
pub static NUDGES_DROPPED: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "partner_keys_nudges_dropped_total",
        "Jobs that did not reach the queue at once. The sweep sends them.",
    )
});

/// Restarts of the queue loop.
pub static QUEUE_LOOP_RESTARTS: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "partner_keys_queue_loop_restarts_total",
        "Times that the queue loop died and was started again.",
    )
});

/// Attempts whose predecessor's lease had expired.
pub static LEASES_EXPIRED: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "partner_keys_leases_expired_total",
        "Attempts claimed after the lease of the attempt before had expired: its worker was \
         killed, frozen or could not write the outcome.",
    )
});

static LIMITED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters(
        "partner_keys_rate_limited_total",
        "Requests refused because their caller did too much.",
        &["limit"],
    )
});

static ATTEMPTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters(
        "partner_keys_attempts_total",
        "Attempts to do the work of a row, by their outcome.",
        &["outcome"],
    )
});

static PROVISIONING: LazyLock<Histogram> = LazyLock::new(|| {
    histogram(
        "partner_keys_provisioning_duration_seconds",
        "Time from the creation of a key until its webhooks are set up. Keys whose work was \
         armed again do not count.",
        UNTIL_PROVISIONED,
    )
});

static ROWS: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauges(
        "partner_keys_backlog_rows",
        "Rows with work, at most 100000 for each state. All workers show the same.",
        &["state"],
    )
});

static OLDEST_DUE: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauges(
        "partner_keys_oldest_due_age_seconds",
        "Time since the oldest due attempt became due; 0 if none is due.",
        &[],
    )
});

static QUEUE_DEPTH: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauges(
        "partner_keys_queue_depth",
        "Jobs that wait in the queue. All workers show the same.",
        &[],
    )
});

/// A limit on what one caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Creations by an account.
    Create,
    /// Portal links for a key.
    Portal,
    /// Invalid credentials from an address.
    FailedAuth,
    /// Reports of leaked keys from an address.
    Reports,
}

impl Limit {
    const ALL: [Self; 4] = [Self::Create, Self::Portal, Self::FailedAuth, Self::Reports];

    fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Portal => "portal",
            Self::FailedAuth => "failed_auth",
            Self::Reports => "reports",
        }
    }
}

/// Counts a request that a limit refused.
pub fn limited(by: Limit) {
    LIMITED.with_label_values(&[by.as_str()]).inc();
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The application exists.
    Provisioned,
    /// The portal sessions of a revoked key have ended.
    PortalSessionsEnded,
    /// It failed, and another attempt follows.
    Retry,
    /// It failed, and no other attempt follows.
    DeadLetter,
    /// Nothing was written: the key was revoked, or another worker has a newer claim.
    Superseded,
    /// The outcome could not be written. The lease runs out.
    NotWritten,
}

impl AttemptOutcome {
    const ALL: [Self; 6] = [
        Self::Provisioned,
        Self::PortalSessionsEnded,
        Self::Retry,
        Self::DeadLetter,
        Self::Superseded,
        Self::NotWritten,
    ];

    /// Returns whether the work is not done.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Retry | Self::DeadLetter | Self::NotWritten)
    }

    /// Returns the outcome's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provisioned => "provisioned",
            Self::PortalSessionsEnded => "portal_sessions_ended",
            Self::Retry => "retry",
            Self::DeadLetter => "dead_letter",
            Self::Superseded => "superseded",
            Self::NotWritten => "not_written",
        }
    }
}

/// Counts an attempt.
pub fn attempted(outcome: AttemptOutcome) {
    ATTEMPTS.with_label_values(&[outcome.as_str()]).inc();
}

/// Records how long it took until a new key was set up.
pub fn provisioned(after: Duration) {
    PROVISIONING.observe(after.as_secs_f64());
}

/// Shows the work that is left.
pub fn set_backlog(backlog: &Backlog, now: Timestamp) {
    let Backlog {
        due,
        leased,
        waiting,
        failed,
        oldest_due,
    } = backlog;
    for (state, rows) in [
        ("due", due),
        ("leased", leased),
        ("waiting", waiting),
        ("failed", failed),
    ] {
        ROWS.with_label_values(&[state]).set(*rows);
    }
    let age = oldest_due.map_or(0, |oldest| now.since(oldest).as_secs());
    let age = i64::try_from(age).unwrap_or(i64::MAX);
    OLDEST_DUE.with_label_values::<&str>(&[]).set(age);
}

/// Shows no backlog, because it is not known.
pub fn clear_backlog() {
    ROWS.reset();
    OLDEST_DUE.reset();
}

/// Shows the number of waiting jobs.
pub fn set_queue_depth(depth: usize) {
    let depth = i64::try_from(depth).unwrap_or(i64::MAX);
    QUEUE_DEPTH.with_label_values::<&str>(&[]).set(depth);
}

/// Shows no number of waiting jobs, because it is not known.
pub fn clear_queue_depth() {
    QUEUE_DEPTH.reset();
}

pub(super) fn show_api() {
    for counter in [&KEYS_CREATED, &KEYS_REVOKED, &NUDGES_DROPPED] {
        LazyLock::force(counter);
    }
    for limit in Limit::ALL {
        LIMITED.with_label_values(&[limit.as_str()]);
    }
}

pub(super) fn show_worker() {
    for counter in [&QUEUE_LOOP_RESTARTS, &LEASES_EXPIRED] {
        LazyLock::force(counter);
    }
    LazyLock::force(&PROVISIONING);
    for outcome in AttemptOutcome::ALL {
        ATTEMPTS.with_label_values(&[outcome.as_str()]);
    }
}
