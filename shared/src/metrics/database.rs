use std::sync::LazyLock;
use std::time::Instant;

use prometheus::{HistogramOpts, HistogramVec, IntGaugeVec};

use super::{durations, gauges, registered};
use crate::trace;

static OPERATIONS: LazyLock<HistogramVec> = LazyLock::new(|| {
    durations(
        "db_client_operation_duration_seconds",
        "Duration of operations on the database and of scripts on Redis, with the wait for a \
         connection. A batch is one operation.",
        &["db_system_name", "db_query_summary", "error_type"],
        None,
    )
});

static BATCHES: LazyLock<HistogramVec> = LazyLock::new(|| {
    let options = HistogramOpts::new(
        "partner_keys_batch_size",
        "Number of requests that one operation answers together.",
    );
    let bounds = vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
    let labels = ["db_system_name", "db_query_summary"];
    registered(HistogramVec::new(options.buckets(bounds), &labels))
});

static CONNECTIONS: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauges(
        "partner_keys_database_connections",
        "Connections to the database. Those that batches keep are used.",
        &["state"],
    )
});

static MOST_CONNECTIONS: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauges(
        "partner_keys_database_connections_max",
        "Connections to the database that this process may open.",
        &[],
    )
});

/// An error that a metric names by its kind.
pub trait Failure {
    /// Returns the kind, one of a few.
    fn error_type(&self) -> &'static str;
}

/// What a database is asked, as metrics name it.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// The system, as OpenTelemetry names it: `postgresql`, `sqlite` or `redis`.
    pub system: &'static str,
    /// What is done. That of a batch begins with `BATCH `.
    pub summary: &'static str,
}

impl Operation {
    /// Measures an operation. One that the caller gives up is not counted.
    pub async fn measure<T, E: Failure>(
        self,
        operation: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let began = Instant::now();
        let span = trace::query(self);
        let done = operation.await;
        let error = done.as_ref().err().map_or("", Failure::error_type);
        if done.is_err() {
            trace::failed(&span, error);
        }
        OPERATIONS
            .with_label_values(&[self.system, self.summary, error])
            .observe(began.elapsed().as_secs_f64());
        done
    }

    /// Records the size of a batch.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a batch has some hundred requests at most"
    )]
    pub fn has_size(self, size: usize) {
        BATCHES
            .with_label_values(&[self.system, self.summary])
            .observe(size as f64);
    }
}

/// The use of a pool of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolUse {
    /// The connections that nobody uses.
    pub idle: usize,
    /// The connections in use.
    pub used: usize,
    /// The largest number of connections.
    pub max: u32,
}

impl PoolUse {
    /// Shows these numbers.
    pub fn show(self) {
        let count = |state, number| {
            let number = i64::try_from(number).unwrap_or(i64::MAX);
            CONNECTIONS.with_label_values(&[state]).set(number);
        };
        count("idle", self.idle);
        count("used", self.used);
        MOST_CONNECTIONS
            .with_label_values::<&str>(&[])
            .set(self.max.into());
    }
}
