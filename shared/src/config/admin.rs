use std::net::SocketAddr;

use clap::Args;

use super::{Checker, Invalid};

/// The flags of the admin listener.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Admin")]
pub struct AdminArgs {
    /// Address to serve /metrics and /healthz on, which must not be reachable from
    /// outside [default: none]
    #[arg(long, env = "ADMIN_ADDR", value_name = "ADDR")]
    pub admin_addr: Option<String>,
}

impl AdminArgs {
    /// Checks the settings. Returns the address, if one is set.
    pub fn check(&self, checker: &mut Checker) -> Result<Option<SocketAddr>, Invalid> {
        let expected = "an address and a port, for instance 10.0.0.5:9090";
        checker
            .setting("ADMIN_ADDR", self.admin_addr.as_deref(), expected)
            .optional(|text| text.parse().ok())
    }
}
