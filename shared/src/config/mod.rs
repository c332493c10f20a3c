//! Configuration: each setting's flag, variable and help text in one place.
//!
//! A binary flattens the [`clap::Args`] groups that it needs and checks them
//! together into one settings struct of its own. If settings are invalid, the error
//! reports every problem at once: the variable's name, what was given (never a
//! secret) and what was expected.

mod certificates;
mod check;
mod database;
mod http;
mod log;
mod redis;
mod session;
mod svix;
mod worker;

pub use ::redis::Client as RedisClient;
use clap::builder::ValueParser;
pub use secrecy::SecretString;

pub use certificates::{CERTIFICATES_HELP, check_certificates};
pub use check::{Checker, ConfigError, Invalid, Setting};
pub use database::{DatabaseArgs, DatabaseConfig};
pub use http::{HttpArgs, HttpConfig};
pub use log::LogArgs;
pub use redis::RedisArgs;
pub use session::{JwtConfig, SessionArgs, SessionConfig, is_this_machine};
pub use svix::SvixArgs;
pub use worker::{HealthArgs, WorkerArgs};

/// Returns a parser of secret flags. It accepts any text, because an error of a
/// parser would quote the text.
fn secret_parser() -> ValueParser {
    ValueParser::from(|text: &str| Ok::<_, std::convert::Infallible>(SecretString::from(text)))
}
