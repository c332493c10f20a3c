//! The metrics of this process, as `/metrics` shows them.
//!
//! Each instrument is defined once, in the file of what it measures, and a call site
//! records with one line. The names are those of OpenTelemetry's semantic conventions, with
//! `_` for `.`, and with the unit; what they do not name begins with `partner_keys_`.
//! docs/OPERATIONS.md lists all of them.
//!
//! A label has one of a few values that this code chooses. Nothing that a client, an account
//! or Svix chooses becomes a label: the number of series is bounded, and no secret is shown.

mod calls;
mod connections;
mod database;
mod otlp;
mod process;
mod requests;
mod work;

use std::collections::HashMap;
use std::sync::LazyLock;

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use crate::clock::Clock;

pub use calls::{SvixCall, SvixCalls};
pub use connections::ConnectionMetrics;
pub use database::{Failure, Operation, PoolUse};
pub use requests::answered;
pub use work::{
    AttemptOutcome, KEYS_CREATED, KEYS_REVOKED, LEASES_EXPIRED, Limit, NUDGES_DROPPED,
    QUEUE_LOOP_RESTARTS, attempted, clear_backlog, clear_queue_depth, limited, provisioned,
    set_backlog, set_queue_depth,
};

/// The content type of [`text`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The upper bounds for durations, in seconds. OpenTelemetry's begin with 5 ms, which would
/// hide a check of a key: it takes 0.2 ms.
const SECONDS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::new);

/// The parts of the service. Each shows its counters from its start, so that the first
/// event is an increase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// It serves requests.
    Api,
    /// It runs jobs.
    Worker,
}

/// Shows the counters of a part with zero, as far as nothing was counted.
pub fn show(part: Part) {
    process::show();
    match part {
        Part::Api => work::show_api(),
        Part::Worker => work::show_worker(),
    }
}

/// Returns all metrics, in Prometheus's text format.
pub fn text() -> String {
    process::refresh();
    let text = TextEncoder::new().encode_to_string(&REGISTRY.gather());
    text.unwrap_or_else(|error| {
        tracing::error!(%error, "the metrics cannot be shown; this is a defect");
        String::new()
    })
}

/// Returns all metrics, in OTLP's form.
pub fn for_otlp() -> Vec<opentelemetry_proto::tonic::metrics::v1::Metric> {
    process::refresh();
    let period = otlp::Period {
        from: process::started_at(),
        to: process::nanos(Clock::system().now()),
    };
    let families = REGISTRY.gather();
    families.iter().map(|it| otlp::metric(it, period)).collect()
}

/// Counts an export of traces or metrics that failed.
pub fn export_failed(signal: &'static str) {
    static FAILED: LazyLock<IntCounterVec> = LazyLock::new(|| {
        counters(
            "partner_keys_otlp_failures_total",
            "Requests to the OTLP collector that failed. What they held may be lost.",
            &["signal"],
        )
    });
    FAILED.with_label_values(&[signal]).inc();
}

/// Why no instrument can be refused: each is a static with a name of its own.
const VALID: &str = "each instrument has a valid name, which no other has";

fn registered<M: Collector + Clone + 'static>(instrument: prometheus::Result<M>) -> M {
    let instrument = instrument.expect(VALID);
    REGISTRY
        .register(Box::new(instrument.clone()))
        .expect(VALID);
    instrument
}

fn counter(name: &str, help: &str) -> IntCounter {
    registered(IntCounter::new(name, help))
}

fn counters(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    registered(IntCounterVec::new(Opts::new(name, help), labels))
}

/// Gauges with labels. Without labels, it is one gauge that can be absent.
fn gauges(name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    registered(IntGaugeVec::new(Opts::new(name, help), labels))
}

fn histogram(name: &str, help: &str, bounds: &[f64]) -> Histogram {
    let options = HistogramOpts::new(name, help).buckets(bounds.to_vec());
    registered(Histogram::with_opts(options))
}

/// Histograms of durations. `constant` is a label with one value.
fn durations(
    name: &str,
    help: &str,
    labels: &[&str],
    constant: Option<(&str, &str)>,
) -> HistogramVec {
    let constant: HashMap<String, String> = constant
        .map(|(label, value)| (label.to_owned(), value.to_owned()))
        .into_iter()
        .collect();
    let options = HistogramOpts::new(name, help)
        .buckets(SECONDS.to_vec())
        .const_labels(constant);
    registered(HistogramVec::new(options, labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_of_both_parts_are_shown_from_the_start() {
        show(Part::Api);
        show(Part::Worker);
        let text = text();
        for name in [
            "partner_keys_created_total",
            "partner_keys_nudges_dropped_total",
            "partner_keys_rate_limited_total{limit=\"create\"}",
            "partner_keys_attempts_total{outcome=\"dead_letter\"}",
            "partner_keys_provisioning_duration_seconds_count",
            "process_start_time_seconds",
            "partner_keys_build_info{",
        ] {
            let is_shown = text.lines().any(|line| line.starts_with(name));
            assert!(is_shown, "{name} is not in:\n{text}");
        }
    }
}
