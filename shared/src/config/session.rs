use std::time::Duration;

use clap::Args;
use url::Url;

use super::url::keys_url;
use super::{Checker, Invalid};

/// The default of `SESSION_JWKS_MAX_STALE`.
const JWKS_MAX_STALE: Duration = Duration::from_hours(24);
/// The default of `SESSION_MAX_LIFETIME`. The usual providers issue tokens for a day at
/// most.
const MAX_LIFETIME: Duration = Duration::from_hours(24);

/// The flags of the sessions.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Sessions")]
pub struct SessionArgs {
    /// table: the login writes sessions to the database; jwt: an identity
    /// provider signs them [default: table]
    #[arg(long, env = "SESSION_MODE", value_name = "MODE")]
    pub session_mode: Option<String>,

    /// URL of the provider's keys, a JWKS document; http:// only on this machine
    #[arg(long, env = "SESSION_JWKS_URL", value_name = "URL")]
    pub session_jwks_url: Option<String>,

    /// Exact value that the tokens' `iss` must have
    #[arg(long, env = "SESSION_ISSUER", value_name = "TEXT")]
    pub session_issuer: Option<String>,

    /// Value that the tokens' `aud` must be or contain
    #[arg(long, env = "SESSION_AUDIENCE", value_name = "TEXT")]
    pub session_audience: Option<String>,

    /// Claim that names the account [default: sub]
    #[arg(long, env = "SESSION_ACCOUNT_CLAIM", value_name = "CLAIM")]
    pub session_account_claim: Option<String>,

    /// Time for which the provider's keys are used while no new ones can be fetched
    /// [default: 24h]
    #[arg(long, env = "SESSION_JWKS_MAX_STALE", value_name = "TIME")]
    pub session_jwks_max_stale: Option<String>,

    /// Longest lifetime that a token may have, from `iat` to `exp` [default: 24h]
    #[arg(long, env = "SESSION_MAX_LIFETIME", value_name = "TIME")]
    pub session_max_lifetime: Option<String>,
}

/// The source of sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionConfig {
    /// The table `sessions`, which the platform's login writes.
    Table,
    /// An identity provider, which signs tokens.
    Jwt(JwtConfig),
}

/// The identity provider whose tokens are sessions, and the values they must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtConfig {
    /// The address at which the provider publishes its keys.
    pub jwks_url: Url,
    /// The value that `iss` must have.
    pub issuer: String,
    /// The value that `aud` must be or contain.
    pub audience: String,
    /// The claim that names the account.
    pub account_claim: String,
    /// The time for which the provider's keys are used after the last that were
    /// fetched.
    pub jwks_max_stale: Duration,
    /// The longest lifetime that a token may have.
    pub max_lifetime: Duration,
}

/// The values of `SESSION_MODE`.
enum Mode {
    Table,
    Jwt,
}

impl SessionArgs {
    /// Checks the settings.
    pub fn check(&self, checker: &mut Checker) -> Result<SessionConfig, Invalid> {
        let mode = checker
            .setting("SESSION_MODE", self.session_mode.as_deref(), "table or jwt")
            .or_default(Mode::Table, |mode| match mode {
                "table" => Some(Mode::Table),
                "jwt" => Some(Mode::Jwt),
                _ => None,
            });
        match mode? {
            Mode::Jwt => self.check_jwt(checker).map(SessionConfig::Jwt),
            Mode::Table => self
                .check_nothing_is_for_jwt(checker)
                .map(|()| SessionConfig::Table),
        }
    }

    fn check_jwt(&self, checker: &mut Checker) -> Result<JwtConfig, Invalid> {
        let jwks_url = checker
            .setting(
                "SESSION_JWKS_URL",
                self.session_jwks_url.as_deref(),
                "an https:// URL without user or fragment (http:// only for localhost), \
                 because SESSION_MODE is jwt",
            )
            .required(keys_url);
        let trimmed = |text: &str| (text.trim() == text).then(|| text.to_owned());
        let issuer = checker
            .setting(
                "SESSION_ISSUER",
                self.session_issuer.as_deref(),
                "the `iss` of the provider's tokens, because SESSION_MODE is jwt",
            )
            .required(trimmed);
        let audience = checker
            .setting(
                "SESSION_AUDIENCE",
                self.session_audience.as_deref(),
                "the `aud` of the tokens that are for this service, because SESSION_MODE is jwt",
            )
            .required(trimmed);
        let account_claim = checker
            .setting(
                "SESSION_ACCOUNT_CLAIM",
                self.session_account_claim.as_deref(),
                "the name of a claim, for instance sub",
            )
            .or_default("sub".to_owned(), trimmed);
        let time = "a number and a unit, for instance 24h, 10 minutes to 10 years";
        let jwks_max_stale = checker
            .setting(
                "SESSION_JWKS_MAX_STALE",
                self.session_jwks_max_stale.as_deref(),
                time,
            )
            .or_default(JWKS_MAX_STALE, long_time);
        let max_lifetime = checker
            .setting(
                "SESSION_MAX_LIFETIME",
                self.session_max_lifetime.as_deref(),
                time,
            )
            .or_default(MAX_LIFETIME, long_time);
        Ok(JwtConfig {
            jwks_url: jwks_url?,
            issuer: issuer?,
            audience: audience?,
            account_claim: account_claim?,
            jwks_max_stale: jwks_max_stale?,
            max_lifetime: max_lifetime?,
        })
    }

    /// Refuses settings that have no effect without a provider: whoever set one of
    /// them believes that tokens are checked.
    fn check_nothing_is_for_jwt(&self, checker: &mut Checker) -> Result<(), Invalid> {
        let for_jwt = [
            ("SESSION_JWKS_URL", &self.session_jwks_url),
            ("SESSION_ISSUER", &self.session_issuer),
            ("SESSION_AUDIENCE", &self.session_audience),
            ("SESSION_ACCOUNT_CLAIM", &self.session_account_claim),
            ("SESSION_JWKS_MAX_STALE", &self.session_jwks_max_stale),
            ("SESSION_MAX_LIFETIME", &self.session_max_lifetime),
        ];
        let expected = "no value, or SESSION_MODE=jwt beside it, because it has no effect without";
        let checks = for_jwt.map(|(variable, given)| {
            checker
                .setting(variable, given.as_deref(), expected)
                .must_not_be_set()
        });
        checks.into_iter().collect()
    }
}

/// Parses a time from ten minutes, the age at which keys are fetched again, to ten
/// years.
fn long_time(text: &str) -> Option<Duration> {
    let range = Duration::from_mins(10)..=Duration::from_hours(24 * 3650);
    let time = humantime::parse_duration(text).ok()?;
    range.contains(&time).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_jwt_its_settings_are_refused() {
        let args = SessionArgs {
            session_issuer: Some("https://id.example.com".into()),
            ..SessionArgs::default()
        };
        let mut checker = Checker::default();
        let config = args.check(&mut checker);
        let error = checker.finish(|| config).unwrap_err().to_string();
        assert!(error.contains("SESSION_ISSUER is \"https://id"), "{error}");
        assert!(error.contains("expected no value, or SESSION_MODE=jwt"));
    }

    #[test]
    fn the_account_claim_is_sub_by_default() {
        let args = |claim: Option<&str>| SessionArgs {
            session_mode: Some("jwt".into()),
            session_jwks_url: Some("https://id.example.com/keys".into()),
            session_issuer: Some("https://id.example.com/".into()),
            session_audience: Some("partner-keys".into()),
            session_account_claim: claim.map(Into::into),
            ..SessionArgs::default()
        };
        for (given, claim) in [(None, "sub"), (Some(""), "sub"), (Some("org_id"), "org_id")] {
            let mut checker = Checker::default();
            let config = args(given).check(&mut checker);
            let SessionConfig::Jwt(config) = checker.finish(|| config).unwrap() else {
                panic!("jwt was asked for");
            };
            assert_eq!(config.account_claim, claim);
        }
    }
}
