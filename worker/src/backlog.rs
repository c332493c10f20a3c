//! The work that is left, as the metrics show it.

use std::sync::Arc;

use async_trait::async_trait;
use shared::admin::Source;
use shared::clock::Clock;
use shared::metrics;
use shared::queue::Queue;
use shared::store::Store;

/// The number of rows that are counted of each state. They are counted in an index, but a
/// backlog of millions would still take seconds.
const MOST_ROWS: i64 = 100_000;

/// Asks the database and the queue for the work that is left.
pub struct Backlog {
    /// The rows.
    pub store: Arc<dyn Store>,
    /// The queue.
    pub queue: Arc<dyn Queue>,
    /// The clock that decides what is due.
    pub clock: Clock,
}

#[async_trait]
impl Source for Backlog {
    /// What cannot be asked for is not shown: an old number would look like a true one.
    async fn refresh(&self) {
        let now = self.clock.now();
        let (rows, depth) =
            tokio::join!(self.store.backlog_up_to(now, MOST_ROWS), self.queue.depth());
        match rows {
            Ok(rows) => metrics::set_backlog(&rows, now),
            Err(error) => {
                tracing::debug!(%error, "the backlog is not known");
                metrics::clear_backlog();
            }
        }
        match depth {
            Ok(depth) => metrics::set_queue_depth(depth),
            Err(error) => {
                tracing::debug!(%error, "the depth of the queue is not known");
                metrics::clear_queue_depth();
            }
        }
    }
}
