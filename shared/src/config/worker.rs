use std::net::SocketAddr;

use clap::Args;

use super::{Checker, Invalid};

/// The flags of the worker.
#[derive(Debug, Args)]
#[command(next_help_heading = "Worker")]
pub struct WorkerArgs {
    /// Number of jobs that this process runs at the same time [default: 64]
    #[arg(long, env = "WORKER_CONCURRENCY", value_name = "N")]
    pub worker_concurrency: Option<String>,
}

impl WorkerArgs {
    /// Checks the settings. Returns the number of jobs that run at the same time.
    pub fn check(&self, checker: &mut Checker) -> Result<usize, Invalid> {
        let given = self.worker_concurrency.as_deref();
        checker
            .setting("WORKER_CONCURRENCY", given, "a whole number from 1 to 1024")
            .or_default(64, |text| {
                text.parse().ok().filter(|n| (1..=1024).contains(n))
            })
    }
}

/// The flags of the worker's health endpoint.
#[derive(Debug, Args)]
#[command(next_help_heading = "Health")]
pub struct HealthArgs {
    /// Address to serve /healthz on [default: none]
    #[arg(long, env = "HEALTH_ADDR", value_name = "ADDR")]
    pub health_addr: Option<String>,
}

impl HealthArgs {
    /// Checks the settings. Returns the address, if one is set.
    pub fn check(&self, checker: &mut Checker) -> Result<Option<SocketAddr>, Invalid> {
        let expected = "an address and a port, for instance 0.0.0.0:8081";
        checker
            .setting("HEALTH_ADDR", self.health_addr.as_deref(), expected)
            .optional(|text| text.parse().ok())
    }
}
