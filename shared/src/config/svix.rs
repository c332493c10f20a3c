use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{Checker, Invalid, secret_parser};
use crate::svix::SvixConfig;

/// The flags of Svix.
#[derive(Debug, Args)]
#[command(next_help_heading = "Svix")]
pub struct SvixArgs {
    /// The Svix API token
    #[arg(long, env = "SVIX_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    #[arg(value_parser = secret_parser())]
    pub svix_token: Option<SecretString>,

    /// The Svix server [default: the cloud region that the token names]
    #[arg(long, env = "SVIX_SERVER_URL", value_name = "URL")]
    pub svix_server_url: Option<String>,
}

impl SvixArgs {
    /// Checks the settings.
    pub fn check(&self, checker: &mut Checker) -> Result<SvixConfig, Invalid> {
        let expected = "a Svix API token: printable ASCII without spaces";
        let token = checker
            .secret("SVIX_TOKEN", self.svix_token.as_ref(), expected)
            .required(|token| {
                let is_printable = token.bytes().all(|b| b.is_ascii_graphic());
                is_printable.then(|| SecretString::from(token))
            });
        let server_url = checker
            .setting(
                "SVIX_SERVER_URL",
                self.svix_server_url.as_deref(),
                "an http:// or https:// URL without user, query or fragment",
            )
            .hidden()
            .optional(|text| is_server_url(text).then(|| text.trim_end_matches('/').to_owned()));
        Ok(SvixConfig {
            token: token?,
            server_url: server_url?,
        })
    }

    /// Returns whether any of the settings is set.
    pub fn is_set(&self) -> bool {
        let token = self.svix_token.as_ref().map(ExposeSecret::expose_secret);
        let given = [token, self.svix_server_url.as_deref()];
        given.into_iter().flatten().any(|value| !value.is_empty())
    }
}

fn is_server_url(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    })
}
