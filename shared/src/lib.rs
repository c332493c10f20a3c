//! The parts that the api and the worker share: key types, storage, queue, Svix
//! client, retry policy, configuration and telemetry.
//!
//! Start with [`key`], which is what a partner holds. Then read [`store`], which holds
//! the truth, and [`queue`], which holds hints that there is work.

pub mod admin;
pub mod bytes;
pub mod clock;
mod coalesce;
pub mod config;
pub mod doctor;
#[cfg(test)]
mod fuzz;
pub mod http_client;
pub mod ids;
pub mod key;
pub mod metrics;
pub mod otlp;
pub mod output;
pub mod queue;
mod random_secret;
pub mod retry;
pub mod runtime;
pub mod secret_hash;
pub mod server;
pub mod session;
pub mod store;
pub mod svix;
pub mod telemetry;
pub mod trace;

/// The version that `--version` prints: that of the packages, and the commit.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("GIT_COMMIT"), ")");
