use clap::Args;

use super::{Checker, Invalid};

/// The flags of the worker.
#[derive(Debug, Args)]
#[command(next_help_heading = "Worker")]
pub struct WorkerArgs {
    /// Number of attempts that this process makes at the same time [default: 64]
    #[arg(long, env = "WORKER_CONCURRENCY", value_name = "N")]
    pub worker_concurrency: Option<String>,
}

impl WorkerArgs {
    /// Checks the settings. Returns the number of attempts that are made at the same time.
    pub fn check(&self, checker: &mut Checker) -> Result<usize, Invalid> {
        let given = self.worker_concurrency.as_deref();
        checker
            .setting("WORKER_CONCURRENCY", given, "a whole number from 1 to 1024")
            .or_default(64, |text| {
                text.parse().ok().filter(|n| (1..=1024).contains(n))
            })
    }
}
