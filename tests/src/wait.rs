//! Waiting for conditions.

use std::fmt::Debug;
use std::time::Duration;

use tokio::time::Instant;

/// The time between two checks of a condition.
const POLL: Duration = Duration::from_millis(10);

/// The shortest deadline. A deadline catches hangs, so it must not depend on how fast
/// the machine is. It is shorter than a lease (60 s), so that a case in which a lease
/// has to run out before the condition holds fails.
const SHORTEST_DEADLINE: Duration = Duration::from_secs(50);

/// Waits until `look` returns a value for which `holds` is true, and returns that
/// value. Panics with the last value once `deadline`, or [`SHORTEST_DEADLINE`] if that
/// is longer, has passed.
pub async fn eventually<T: Debug, F: Future<Output = T>>(
    what: &str,
    deadline: Duration,
    mut look: impl FnMut() -> F,
    holds: impl Fn(&T) -> bool,
) -> T {
    let deadline = deadline.max(SHORTEST_DEADLINE);
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
