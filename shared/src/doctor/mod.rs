//! `api doctor` and `worker doctor`: checks, from the point of view of this process, all that
//! it needs, and says how to mend what is wrong.
//!
//! Each file has one check. The checks of different servers run at the same time, each step
//! has a time limit, and what fails stops only what cannot be asked without it. The checks
//! change nothing. What they find never contains a secret.

mod addresses;
mod clock;
mod collector;
mod database;
mod descriptors;
mod finding;
mod redis;
mod report;
mod server_name;
mod settings;
mod steps;
mod svix;

use std::net::SocketAddr;

pub use descriptors::Descriptors;
pub use finding::{Finding, Status};
pub use report::Report;
pub use server_name::look_up;

use crate::clock::Clock;
use crate::config::{Checker, DatabaseConfig, RedisConfig};
use crate::otlp::OtlpConfig;
use crate::server::Listener;
use crate::svix::SvixConfig;

/// What a program needs. A setting that is invalid is `None`, and what needs it is skipped.
pub struct Doctor {
    /// The program's name: `api` or `worker`.
    pub program: &'static str,
    /// The problems of all settings.
    pub checker: Checker,
    /// The database.
    pub database: Option<DatabaseConfig>,
    /// Redis.
    pub redis: Option<RedisConfig>,
    /// Svix.
    pub svix: Option<SvixConfig>,
    /// The collector of traces and metrics, if there is one.
    pub otlp: Option<OtlpConfig>,
    /// The addresses to listen on.
    pub addresses: Vec<(Listener, SocketAddr)>,
    /// The descriptors that the process needs.
    pub descriptors: Option<Descriptors>,
}

impl Doctor {
    /// Runs all checks, and with them those of the program alone.
    pub async fn examine(self, others: impl Future<Output = Vec<Finding>>) -> Report {
        let clock = Clock::system();
        let mut findings = settings::check(self.checker);
        let (database, redis, svix, collector, addresses, others) = tokio::join!(
            database::check(self.database.as_ref(), self.program, &clock),
            redis::check(self.redis.as_ref(), &clock),
            svix::check(self.svix.as_ref()),
            collector::check(self.otlp.as_ref()),
            addresses::check(&self.addresses),
            others,
        );
        for group in [database, redis, svix, others, collector, addresses] {
            findings.extend(group);
        }
        findings.extend(self.descriptors.map(Descriptors::check));
        Report {
            program: self.program,
            findings,
        }
    }
}
