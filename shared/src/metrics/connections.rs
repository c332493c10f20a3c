use std::sync::LazyLock;

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::{counters, gauges};

static OPEN: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauges(
        "partner_keys_connections",
        "Open connections of clients.",
        &["listener"],
    )
});

static REPLACED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters(
        "partner_keys_connections_full_total",
        "Connections that had to wait or to replace an idle one, because as many were open as \
         allowed.",
        &["listener"],
    )
});

static REFUSED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters(
        "partner_keys_accept_errors_total",
        "Connections that the system refused to accept, for instance for lack of descriptors.",
        &["listener"],
    )
});

/// The metrics of one listener.
#[derive(Debug)]
pub struct ConnectionMetrics {
    /// The open connections.
    pub open: IntGauge,
    /// The connections that found no room.
    pub full: IntCounter,
    /// The connections that could not be accepted.
    pub refused: IntCounter,
}

impl ConnectionMetrics {
    /// Returns the metrics of the listener with this name.
    pub fn of(listener: &'static str) -> Self {
        Self {
            open: OPEN.with_label_values(&[listener]),
            full: REPLACED.with_label_values(&[listener]),
            refused: REFUSED.with_label_values(&[listener]),
        }
    }
}
