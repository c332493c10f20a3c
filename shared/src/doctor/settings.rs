use super::Finding;
use crate::config::Checker;

const CHECK: &str = "settings";

/// Reports each invalid setting.
pub(super) fn check(checker: Checker) -> Vec<Finding> {
    let problems = checker.problems();
    if problems.is_empty() {
        return vec![Finding::ok(CHECK, "all are valid")];
    }
    let report = |problem: crate::config::Problem| {
        let message = format!("{} {}", problem.variable, problem.given);
        let fix = format!("set {} to {}", problem.variable, problem.expected);
        Finding::error(CHECK, message, fix)
    };
    problems.into_iter().map(report).collect()
}
