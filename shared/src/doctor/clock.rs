use std::time::Duration;

use super::Finding;
use crate::clock::Timestamp;

/// The difference that the service allows: see invariant 16 in docs/ARCHITECTURE.md.
const ALLOWED: Duration = Duration::from_secs(30);
/// The difference that NTP never leaves.
const UNUSUAL: Duration = Duration::from_secs(5);

/// Judges the time of a server, which it read between `before` and `after`.
pub(super) fn judge(
    check: &'static str,
    before: Timestamp,
    theirs: Timestamp,
    after: Timestamp,
) -> Finding {
    // Zero if the server's time is between the two.
    let (ahead, behind) = (theirs.since(after), before.since(theirs));
    let (difference, direction) = if ahead > behind {
        (ahead, "ahead of")
    } else {
        (behind, "behind")
    };
    let message = format!(
        "the server's clock is {:.1} s {direction} this machine's",
        difference.as_secs_f64()
    );
    let fix = "run NTP on both machines; the service allows 30 s";
    if difference > ALLOWED {
        Finding::error(check, message, fix)
    } else if difference > UNUSUAL {
        Finding::warning(check, message, fix)
    } else {
        Finding::ok(check, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn thirty_seconds_are_allowed_and_a_slow_answer_is_no_difference() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        for (theirs, status) in [
            (60, Status::Error),
            (69, Status::Error),
            (70, Status::Warning),
            (94, Status::Warning),
            (95, Status::Ok),
            (102, Status::Ok),
            (107, Status::Ok),
            (108, Status::Warning),
            (132, Status::Warning),
            (133, Status::Error),
        ] {
            let finding = judge("clock", at(100), at(theirs), at(102));
            assert_eq!(finding.status, status, "{theirs}: {finding:?}");
        }
    }
}
