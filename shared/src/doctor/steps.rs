use std::fmt::Display;
use std::time::Duration;

use tokio::time::timeout;

use super::Finding;

/// The time limit of one step: a name's lookup, a connection, a question.
pub(super) const LIMIT: Duration = Duration::from_secs(3);

/// Questions to a server on one connection, in turn. If one gets no answer in time, the state
/// of the connection is not known, so the rest is skipped.
#[derive(Default)]
pub(super) struct Steps {
    pub(super) findings: Vec<Finding>,
    is_lost: bool,
}

impl Steps {
    /// Runs one check. Its error is what the server answers instead.
    pub(super) async fn run<E: Display>(
        &mut self,
        check: &'static str,
        step: impl Future<Output = Result<Finding, E>>,
    ) {
        let finding = if self.is_lost {
            Finding::skipped(check, "the connection does not answer")
        } else {
            match timeout(LIMIT, step).await {
                Ok(Ok(finding)) => finding,
                Ok(Err(error)) => {
                    let fix = "see the server's log; the user may lack a privilege, or the server \
                               may not be the one that is meant";
                    Finding::error(check, format!("could not be checked: {error}"), fix)
                }
                Err(_) => {
                    self.is_lost = true;
                    let message = format!("no answer within {LIMIT:?}");
                    Finding::error(check, message, "look at the load and the log of the server")
                }
            }
        };
        self.findings.push(finding);
    }
}

/// Returns one skipped finding for each check.
pub(super) fn skip(checks: &[&'static str], why: &str) -> Vec<Finding> {
    let skipped = |check: &&'static str| Finding::skipped(check, why);
    checks.iter().map(skipped).collect()
}
