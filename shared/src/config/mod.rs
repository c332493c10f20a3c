//! Configuration: each setting's flag, variable and help text in one place.
//!
//! A binary flattens the [`clap::Args`] groups it needs, then checks them all
//! together: a wrong start reports every problem at once, each with the
//! variable's name, what was given (never a secret) and what was expected.

mod certificates;
mod check;
mod groups;
mod secret;
mod session;

pub use certificates::{CERTIFICATES_HELP, check_certificates};
pub use check::{Checker, ConfigError};
pub use groups::{
    DatabaseArgs, HealthArgs, HttpArgs, HttpConfig, LogArgs, RedisArgs, SvixArgs, WorkerArgs,
};
pub use secret::Secret;
pub use session::{JwtConfig, SessionArgs, SessionConfig, is_this_machine};
