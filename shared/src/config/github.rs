use clap::Args;
use url::Url;

use super::url::keys_url;
use super::{Checker, Invalid};

/// The default of `GITHUB_KEYS_URL`, as GitHub documents it.
const KEYS_URL: &str = "https://api.github.com/meta/public_keys/secret_scanning";

/// The flags of the reports from GitHub.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Reports of leaked keys")]
pub struct GithubArgs {
    /// on: GitHub may report keys that it has found, as to a partner of its secret scanning
    /// [default: off]
    #[arg(long, env = "GITHUB_SECRET_SCANNING", value_name = "MODE")]
    pub github_secret_scanning: Option<String>,

    /// URL of the public keys with which GitHub signs its reports; http:// only on this
    /// machine [default: GitHub's own]
    #[arg(long, env = "GITHUB_KEYS_URL", value_name = "URL")]
    pub github_keys_url: Option<String>,
}

impl GithubArgs {
    /// Checks the settings. Returns the URL of GitHub's keys, if its reports are accepted.
    pub fn check(&self, checker: &mut Checker) -> Result<Option<Url>, Invalid> {
        let given = self.github_secret_scanning.as_deref();
        let is_on = checker.switch("GITHUB_SECRET_SCANNING", given, false);
        let url = self.github_keys_url.as_deref();
        if is_on? {
            let expected = "an https:// URL without user or fragment (http:// only for localhost)";
            let setting = checker.setting("GITHUB_KEYS_URL", url, expected);
            setting.or_default(keys_url(KEYS_URL), |text| keys_url(text).map(Some))
        } else {
            let expected = "no value, or GITHUB_SECRET_SCANNING=on beside it, because it has no \
                            effect without";
            let setting = checker.setting("GITHUB_KEYS_URL", url, expected);
            setting.must_not_be_set().map(|()| None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mode: Option<&str>, url: Option<&str>) -> Result<Option<String>, Invalid> {
        let args = GithubArgs {
            github_secret_scanning: mode.map(Into::into),
            github_keys_url: url.map(Into::into),
        };
        let config = args.check(&mut Checker::default())?;
        Ok(config.map(|url| url.to_string()))
    }

    #[test]
    fn reports_are_accepted_only_when_that_is_asked_for() {
        let own = "http://localhost:1/keys";
        for (mode, url, expected) in [
            (None, None, Ok(None)),
            (Some("off"), None, Ok(None)),
            (Some("on"), None, Ok(Some(KEYS_URL))),
            (Some("on"), Some(own), Ok(Some(own))),
            (Some("yes"), None, Err(Invalid)),
            (Some("on"), Some("http://keys.example.com/"), Err(Invalid)),
            (None, Some(own), Err(Invalid)),
        ] {
            let expected = expected.map(|url| url.map(str::to_owned));
            assert_eq!(check(mode, url), expected, "{mode:?} {url:?}");
        }
    }
}
