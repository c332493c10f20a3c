//! Configuration: each setting's flag, variable and help text in one place.
//!
//! A binary flattens the [`clap::Args`] groups that it needs and checks them
//! together into one settings struct of its own. If settings are invalid, the error
//! reports every problem at once: the variable's name, what was given (never a
//! secret) and what was expected.

mod admin;
mod certificates;
mod check;
mod database;
mod github;
mod http;
mod internal;
mod limits;
mod log;
mod otlp;
mod redis;
mod redis_servers;
mod rotation;
mod secret;
mod session;
mod svix;
mod url;
mod worker;

pub use secrecy::SecretString;

pub use admin::AdminArgs;
pub use certificates::{CERTIFICATES_HELP, check_certificates};
pub use check::{Checker, ConfigError, Invalid, Problem, Setting};
pub use database::{DATABASE_HELP, DatabaseArgs, DatabaseConfig, Pooler};
pub use github::GithubArgs;
pub use http::{HttpArgs, HttpConfig};
pub use internal::{INTERNAL_HELP, InternalArgs, InternalConfig};
pub use limits::{LimitArgs, LimitConfig, Rate};
pub use log::LogArgs;
pub use otlp::{OTLP_HELP, check_otlp};
pub use redis::{REDIS_HELP, RedisArgs, RedisConfig};
pub use redis_servers::RedisServers;
pub use rotation::RotationArgs;
pub use session::{JwtConfig, SessionArgs, SessionConfig};
pub use svix::{SVIX_HELP, SvixArgs};
pub use url::{is_safe, is_this_machine};
pub use worker::WorkerArgs;

/// Returns the part of `--help` about the variables that have no flag.
pub fn environment_help(variables: &[&str]) -> String {
    format!("Environment:\n{}", variables.join("\n"))
}
