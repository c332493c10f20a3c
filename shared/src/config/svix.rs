use clap::Args;
use secrecy::SecretString;
use url::Url;

use super::secret::{is_set, read_secret};
use super::url::{is_plain, is_safe};
use super::{Checker, Invalid};
use crate::svix::SvixConfig;

/// The part of `--help` about Svix's secret.
pub const SVIX_HELP: &str = "\
  SVIX_TOKEN     The Svix API token; or its file: SVIX_TOKEN_FILE";

/// The flags of Svix.
#[derive(Debug, Args)]
#[command(next_help_heading = "Svix")]
pub struct SvixArgs {
    /// The Svix server, https://…; http:// only on this machine [default: the cloud
    /// region that the token names]
    #[arg(long, env = "SVIX_SERVER_URL", value_name = "URL")]
    pub svix_server_url: Option<String>,

    /// Beginning of the uids of our applications at Svix, so that two deployments can
    /// share an environment. It must never change [default: none]
    #[arg(long, env = "SVIX_UID_PREFIX", value_name = "TEXT")]
    pub svix_uid_prefix: Option<String>,
}

impl SvixArgs {
    /// Checks the settings.
    pub fn check(&self, checker: &mut Checker) -> Result<SvixConfig, Invalid> {
        let expected = "a Svix API token: printable ASCII without spaces";
        let token = read_secret(checker, "SVIX_TOKEN").and_then(|token| {
            let token = checker.secret("SVIX_TOKEN", token.as_ref(), expected);
            token.required(|token| {
                let is_printable = token.bytes().all(|b| b.is_ascii_graphic());
                is_printable.then(|| SecretString::from(token))
            })
        });
        let server_url = checker
            .setting(
                "SVIX_SERVER_URL",
                self.svix_server_url.as_deref(),
                "an https:// URL without user, query or fragment (http:// only for localhost)",
            )
            .hidden()
            .optional(|text| is_server_url(text).then(|| text.trim_end_matches('/').to_owned()));
        let uid_prefix = checker
            .setting(
                "SVIX_UID_PREFIX",
                self.svix_uid_prefix.as_deref(),
                "1 to 64 letters, digits, - and _, not beginning with app_",
            )
            .optional(|text| is_uid_prefix(text).then(|| text.to_owned()));
        Ok(SvixConfig {
            token: token?,
            server_url: server_url?,
            uid_prefix: uid_prefix?.unwrap_or_default(),
        })
    }

    /// Returns whether any of the settings is set.
    pub fn is_set(&self) -> bool {
        let given = [&self.svix_server_url, &self.svix_uid_prefix];
        let has_any = given.into_iter().flatten().any(|value| !value.is_empty());
        has_any || is_set("SVIX_TOKEN")
    }
}

/// Returns whether our token may be sent to this URL. On a link that others can read,
/// it would be theirs too.
fn is_server_url(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| is_safe(&url) && is_plain(&url) && url.query().is_none())
}

/// Returns whether uids may begin with this. Svix reserves `app_`.
fn is_uid_prefix(text: &str) -> bool {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    (1..=64).contains(&text.len()) && text.bytes().all(is_allowed) && !text.starts_with("app_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_token_is_sent_over_https_or_on_this_machine() {
        for valid in [
            "https://svix.example.com",
            "https://svix.example.com/base/",
            "http://localhost:8071",
            "http://127.0.0.1:8071/",
        ] {
            assert!(is_server_url(valid), "{valid}");
        }
        for invalid in [
            "http://svix.example.com",
            "http://svix:8071",
            "http://localhost.example.com",
            "https://user@svix.example.com",
            "https://svix.example.com/?a=b",
            "https://svix.example.com/#a",
            "ftp://localhost",
            "svix.example.com",
        ] {
            assert!(!is_server_url(invalid), "{invalid}");
        }
    }

    #[test]
    fn a_uid_prefix_is_valid_at_svix() {
        assert!(is_uid_prefix("staging-"));
        for invalid in ["app_", "a b", "a.b", "", &"a".repeat(65)] {
            assert!(!is_uid_prefix(invalid), "{invalid}");
        }
    }
}
