use clap::Args;
use url::{Host, Url};

use super::Checker;

/// Where sessions come from.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Sessions")]
pub struct SessionArgs {
    /// table: the login writes sessions to the database; jwt: an identity
    /// provider signs them [default: table]
    #[arg(long, env = "SESSION_MODE", value_name = "MODE")]
    pub session_mode: Option<String>,

    /// The provider's keys, a JWKS document; http:// only on this machine
    #[arg(long, env = "SESSION_JWKS_URL", value_name = "URL")]
    pub session_jwks_url: Option<String>,

    /// What the tokens' `iss` must be, to the letter
    #[arg(long, env = "SESSION_ISSUER", value_name = "TEXT")]
    pub session_issuer: Option<String>,

    /// What the tokens' `aud` must be, or have among others
    #[arg(long, env = "SESSION_AUDIENCE", value_name = "TEXT")]
    pub session_audience: Option<String>,

    /// The claim that names the account [default: sub]
    #[arg(long, env = "SESSION_ACCOUNT_CLAIM", value_name = "CLAIM")]
    pub session_account_claim: Option<String>,
}

/// Where sessions come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionConfig {
    /// From the table `sessions`, which the platform's login writes.
    Table,
    /// From an identity provider, as signed tokens.
    Jwt(JwtConfig),
}

/// Which tokens of which identity provider are sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtConfig {
    /// Where the provider publishes its keys.
    pub jwks_url: Url,
    /// What `iss` must be.
    pub issuer: String,
    /// What `aud` must be, or hold.
    pub audience: String,
    /// The claim that names the account.
    pub account_claim: String,
}

impl SessionArgs {
    /// Where sessions come from.
    pub fn check(&self, checker: &mut Checker) -> Option<SessionConfig> {
        let mode = self.session_mode.as_deref();
        let is_jwt = checker.optional("SESSION_MODE", mode, "table or jwt", |mode| match mode {
            "table" => Some(false),
            "jwt" => Some(true),
            _ => None,
        });
        if is_jwt?.unwrap_or(false) {
            self.check_jwt(checker).map(SessionConfig::Jwt)
        } else {
            self.check_table(checker).map(|()| SessionConfig::Table)
        }
    }

    fn check_jwt(&self, checker: &mut Checker) -> Option<JwtConfig> {
        let jwks_url = checker.required(
            "SESSION_JWKS_URL",
            self.session_jwks_url.as_deref(),
            "an https:// URL without user or fragment (http:// for localhost alone), as SESSION_MODE is jwt",
            jwks_url,
        );
        let text = |text: &str| (text.trim() == text).then(|| text.to_owned());
        let issuer = checker.required(
            "SESSION_ISSUER",
            self.session_issuer.as_deref(),
            "the `iss` of the provider's tokens, as SESSION_MODE is jwt",
            text,
        );
        let audience = checker.required(
            "SESSION_AUDIENCE",
            self.session_audience.as_deref(),
            "the `aud` of the tokens that are for this service, as SESSION_MODE is jwt",
            text,
        );
        let account_claim = checker.optional(
            "SESSION_ACCOUNT_CLAIM",
            self.session_account_claim.as_deref(),
            "the name of a claim, sub for instance",
            text,
        );
        Some(JwtConfig {
            jwks_url: jwks_url?,
            issuer: issuer?,
            audience: audience?,
            account_claim: account_claim?.unwrap_or_else(|| "sub".into()),
        })
    }

    /// What has no effect without a provider is refused: whoever set it believes
    /// that tokens are checked.
    fn check_table(&self, checker: &mut Checker) -> Option<()> {
        let of_jwt = [
            ("SESSION_JWKS_URL", &self.session_jwks_url),
            ("SESSION_ISSUER", &self.session_issuer),
            ("SESSION_AUDIENCE", &self.session_audience),
            ("SESSION_ACCOUNT_CLAIM", &self.session_account_claim),
        ];
        let expected = "nothing, or SESSION_MODE=jwt beside it: without that it has no effect";
        let unset = of_jwt.map(|(variable, given)| {
            checker.optional(variable, given.as_deref(), expected, |_| None::<()>)
        });
        unset.iter().all(Option::is_some).then_some(())
    }
}

/// Keys that came over a link which anybody can write to would be anybody's.
fn jwks_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_safe = match url.scheme() {
        "https" => true,
        "http" => is_this_machine(&url),
        _ => false,
    };
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    (is_safe && plain).then_some(url)
}

/// Whether the URL's host is this machine, by its name.
pub fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_https_or_from_this_machine() {
        for good in [
            "https://id.example.com/keys?p=policy",
            "http://localhost:9000/jwks",
            "http://127.0.0.1/jwks",
            "http://127.8.8.8/jwks",
            "http://[::1]:80/jwks",
        ] {
            assert!(jwks_url(good).is_some(), "{good}");
        }
        for bad in [
            "http://id.example.com/keys",
            "http://localhost.example.com/keys",
            "http://127.0.0.1.example.com/keys",
            "http://10.0.0.1/keys",
            "http://0.0.0.0/keys",
            "https://user:word@id.example.com/keys",
            "https://id.example.com/keys#1",
            "file:///etc/jwks.json",
            "id.example.com/keys",
            "https://",
        ] {
            assert!(jwks_url(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn without_jwt_its_settings_are_problems() {
        let args = SessionArgs {
            session_issuer: Some("https://id.example.com".into()),
            ..SessionArgs::default()
        };
        let mut checker = Checker::default();
        let config = args.check(&mut checker);
        let error = checker.finish(config).unwrap_err().to_string();
        assert!(error.contains("SESSION_ISSUER is \"https://id"), "{error}");
        assert!(error.contains("expected nothing, or SESSION_MODE=jwt"));
    }

    #[test]
    fn the_account_is_the_subject_unless_said_otherwise() {
        let args = |claim: Option<&str>| SessionArgs {
            session_mode: Some("jwt".into()),
            session_jwks_url: Some("https://id.example.com/keys".into()),
            session_issuer: Some("https://id.example.com/".into()),
            session_audience: Some("partner-keys".into()),
            session_account_claim: claim.map(Into::into),
        };
        for (given, claim) in [(None, "sub"), (Some(""), "sub"), (Some("org_id"), "org_id")] {
            let mut checker = Checker::default();
            let config = args(given).check(&mut checker);
            let SessionConfig::Jwt(config) = checker.finish(config).unwrap() else {
                panic!("jwt was asked for");
            };
            assert_eq!(config.account_claim, claim);
        }
    }
}
