use clap::Args;
use secrecy::ExposeSecret;

use super::redis_servers::{EXPECTED, RedisServers};
use super::secret::read_secret;
use super::{Checker, Invalid};

/// The part of `--help` about the secret of Redis.
pub const REDIS_HELP: &str = "\
  REDIS_URL      redis://[user:password@]host:port/db, redis+sentinel://…host:port,host:port/MASTER/db or redis+cluster://…host:port,host:port; for TLS, rediss in place of redis; or its file: REDIS_URL_FILE";

/// The prefix of a deployment that has Redis for itself.
const DEFAULT_PREFIX: &str = "partner-keys";

/// The flags of Redis.
#[derive(Debug, Args)]
#[command(next_help_heading = "Redis")]
pub struct RedisArgs {
    /// Beginning of the names of all keys and channels in Redis, the same for the api and
    /// the worker, so that two deployments can share a Redis [default: partner-keys]
    #[arg(long, env = "REDIS_PREFIX", value_name = "TEXT")]
    pub redis_prefix: Option<String>,
}

/// The settings of Redis.
#[derive(Clone)]
pub struct RedisConfig {
    /// Where the queue is.
    pub servers: RedisServers,
    /// The beginning of the names of all keys and channels.
    pub prefix: String,
}

impl RedisArgs {
    /// Checks the settings.
    pub fn check(&self, checker: &mut Checker) -> Result<RedisConfig, Invalid> {
        let config = read_secret(checker, "REDIS_URL").and_then(|url| {
            let text = url.as_ref().map_or("", ExposeSecret::expose_secret);
            let config = RedisConfig::parse(text);
            let expected = config.as_ref().err().copied().unwrap_or(EXPECTED);
            checker
                .secret("REDIS_URL", url.as_ref(), expected)
                .required(|_| config.ok())
        });
        let prefix = checker
            .setting(
                "REDIS_PREFIX",
                self.redis_prefix.as_deref(),
                "1 to 64 letters, digits, and - _ . : between them",
            )
            .or_default(DEFAULT_PREFIX.to_owned(), |text| {
                is_prefix(text).then(|| text.to_owned())
            });
        Ok(config?.with_prefix(&prefix?))
    }
}

impl RedisConfig {
    /// Parses a URL. The prefix is the default one. The error says what was expected.
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        Ok(Self {
            servers: RedisServers::parse(url)?,
            prefix: DEFAULT_PREFIX.to_owned(),
        })
    }

    /// Returns the same settings with another prefix.
    #[must_use]
    pub fn with_prefix(self, prefix: &str) -> Self {
        let prefix = prefix.to_owned();
        Self { prefix, ..self }
    }
}

/// Returns whether names in Redis may begin with this. Braces would change the hash tag,
/// and the characters of a pattern would change what an ACL allows.
fn is_prefix(text: &str) -> bool {
    let is_inner = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
    let is_outer = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let (bytes, length) = (text.as_bytes(), text.len());
    length <= 64 && is_outer(bytes.first()) && is_outer(bytes.last()) && text.bytes().all(is_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_part_of_a_key_and_of_a_pattern() {
        for valid in ["partner-keys", "a", "staging:keys", "team_1.keys"] {
            assert!(is_prefix(valid), "{valid}");
        }
        let long = "a".repeat(65);
        for invalid in ["", "a b", "a*", "{a}", "a:", ":a", "[a]", "ä", &long] {
            assert!(!is_prefix(invalid), "{invalid}");
        }
    }
}
