use super::secret::read_secret;
use super::{Checker, Invalid};

/// The part of `--help` about Redis.
pub const REDIS_HELP: &str = "\
  REDIS_URL      redis://[user:password@]host:port/db, or rediss:// for TLS; or its file: REDIS_URL_FILE";

/// Checks the settings of Redis. Returns a client that has not connected yet.
pub fn check_redis(checker: &mut Checker) -> Result<redis::Client, Invalid> {
    let expected = "a Redis URL, redis://host:port/db or rediss://…";
    let url = read_secret(checker, "REDIS_URL")?;
    checker
        .secret("REDIS_URL", url.as_ref(), expected)
        .required(|url| {
            let is_known = url.starts_with("redis://") || url.starts_with("rediss://");
            redis::Client::open(url).ok().filter(|_| is_known)
        })
}
