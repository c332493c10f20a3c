//! Waiting for conditions, never for time alone.

use std::fmt::Debug;
use std::time::Duration;

use tokio::time::Instant;

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(10);

/// Waits until `look` gives something for which `holds` is true, and gives that.
/// Fails, saying what was seen last, once `deadline` has passed.
pub async fn eventually<T: Debug, F: Future<Output = T>>(
    what: &str,
    deadline: Duration,
    mut look: impl FnMut() -> F,
    holds: impl Fn(&T) -> bool,
) -> T {
    let started = Instant::now();
    loop {
        let seen = look().await;
        if holds(&seen) {
            return seen;
        }
        assert!(
            started.elapsed() < deadline,
            "not within {deadline:?}: {what}; last seen: {seen:?}"
        );
        tokio::time::sleep(POLL).await;
    }
}
