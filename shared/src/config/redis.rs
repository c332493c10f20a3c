use clap::Args;
use secrecy::SecretString;

use super::{Checker, Invalid, secret_parser};

/// The flags of Redis.
#[derive(Debug, Args)]
#[command(next_help_heading = "Redis")]
pub struct RedisArgs {
    /// redis://[user:password@]host:port/db, or rediss:// for TLS
    #[arg(long, env = "REDIS_URL", hide_env_values = true, value_name = "URL")]
    #[arg(value_parser = secret_parser())]
    pub redis_url: Option<SecretString>,
}

impl RedisArgs {
    /// Checks the settings. Returns a client that has not connected yet.
    pub fn check(&self, checker: &mut Checker) -> Result<redis::Client, Invalid> {
        let expected = "a Redis URL, redis://host:port/db or rediss://…";
        checker
            .secret("REDIS_URL", self.redis_url.as_ref(), expected)
            .required(|url| {
                let is_known = url.starts_with("redis://") || url.starts_with("rediss://");
                redis::Client::open(url).ok().filter(|_| is_known)
            })
    }
}
