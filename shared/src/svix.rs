//! The Svix client: the official SDK, with its outcomes sorted into what they
//! mean for us.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use sha2::{Digest, Sha256};
use svix::api::{Svix, SvixOptions};
use svix::models::{AppPortalAccessIn, ApplicationIn, ApplicationTokenExpireIn};
use zeroize::Zeroizing;

use crate::config::Secret;
use crate::ids::{AccountId, KeyId};

/// The shortest life that Svix gives a portal link, in seconds.
const PORTAL_EXPIRY: u64 = 3600;

/// What a failed call means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SvixFailure {
    /// No answer in time. What was asked may have happened.
    TimedOut,
    /// Connection trouble, an unreadable answer, 408, 5xx: may pass by itself.
    Transient,
    /// 429.
    RateLimited,
    /// 401 or 403, or a bare 404, as of a server that is not Svix: our settings
    /// are wrong.
    Misconfigured,
    /// 404, and Svix says so: the application is not there.
    NotFound,
    /// 409: another call made it first.
    Conflict,
    /// 400 or 422: will never work.
    Rejected,
}

/// A call to Svix that failed. The text is for operators and holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct SvixError {
    /// What it means.
    pub failure: SvixFailure,
    detail: String,
}

impl SvixError {
    /// An error of the given meaning.
    pub fn new(failure: SvixFailure, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { failure, detail }
    }

    /// Raises the alarm where our settings are wrong: an error in the log, and a
    /// metric, by tracing-opentelemetry's convention of its name.
    pub fn alarm_if_misconfigured(&self) {
        if self.failure == SvixFailure::Misconfigured {
            tracing::error!(
                monotonic_counter.svix_misconfigured = 1_u64,
                error = %self,
                "Svix refuses us: check SVIX_TOKEN and SVIX_SERVER_URL"
            );
        }
    }

    /// Sorts what the SDK reports. Bodies are left out but for Svix's own error
    /// code: they may repeat what we sent.
    fn from_sdk(error: svix::error::Error) -> Self {
        use svix::error::Error;
        match error {
            Error::Timeout { .. } => Self::new(SvixFailure::TimedOut, "no answer in time"),
            Error::Validation(_) => Self::new(SvixFailure::Rejected, "HTTP 422"),
            Error::Http(answer) => {
                let code = answer.payload.map(|payload| payload.code);
                let code = code.filter(|code| is_error_code(code));
                let failure = match answer.status.as_u16() {
                    400 | 422 => SvixFailure::Rejected,
                    404 if code.as_deref() == Some("not_found") => SvixFailure::NotFound,
                    401 | 403 | 404 => SvixFailure::Misconfigured,
                    409 => SvixFailure::Conflict,
                    429 => SvixFailure::RateLimited,
                    _ => SvixFailure::Transient,
                };
                let detail = format!(
                    "HTTP {} {}",
                    answer.status.as_u16(),
                    code.unwrap_or_default()
                );
                Self::new(failure, detail.trim_end())
            }
            // The SDK's text may quote an answer, so it is sorted, not passed on.
            Error::Generic(text) => {
                let detail = if text.contains("InvalidCertificate") {
                    "the certificate is not trusted"
                } else if text.contains("(Connect") {
                    "could not connect"
                } else if text.contains("hyper") || text.contains("Canceled") {
                    "the connection broke"
                } else {
                    "an unreadable answer"
                };
                Self::new(SvixFailure::Transient, detail)
            }
        }
    }
}

/// Whether this looks like one of Svix's codes, `not_found` for instance.
fn is_error_code(code: &str) -> bool {
    (1..=64).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// A Svix App Portal link. Whoever has it is signed in, so it is a secret.
pub struct PortalLink(Zeroizing<String>);

impl PortalLink {
    /// The link in the clear, for the one answer that shows it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PortalLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PortalLink(…)")
    }
}

/// Where Svix is and who we are there.
#[derive(Debug, Clone)]
pub struct SvixConfig {
    /// The API token.
    pub token: Secret,
    /// The server; without it, the cloud region that the token names.
    pub server_url: Option<String>,
}

/// Talks to Svix.
#[derive(Clone)]
pub struct SvixClient(Svix);

impl SvixClient {
    /// A client that gives a call `timeout` from connecting to the end of the answer.
    pub fn new(config: &SvixConfig, timeout: Duration) -> Self {
        let options = SvixOptions {
            server_url: config.server_url.clone(),
            timeout: Some(timeout),
            num_retries: Some(0), // the row is the retry
            ..SvixOptions::default()
        };
        Self(Svix::new(config.token.expose().to_owned(), Some(options)))
    }

    /// Gets the account's application, or creates it. Its id at Svix.
    /// Idempotent: the uid is derived from the account.
    pub async fn ensure_application(&self, account: &AccountId) -> Result<String, SvixError> {
        let uid = application_uid(account);
        let application = ApplicationIn {
            uid: Some(uid.clone()),
            metadata: Some(BTreeMap::from([("account_id".into(), account.to_string())])),
            ..ApplicationIn::new(account.to_string())
        };
        let created = self.0.application().get_or_create(application, None).await;
        match created.map_err(SvixError::from_sdk) {
            Ok(application) => Ok(application.id),
            // Two creations at once: the other one won, which is as good.
            Err(error) if error.failure == SvixFailure::Conflict => {
                let existing = self.0.application().get(uid).await;
                Ok(existing.map_err(SvixError::from_sdk)?.id)
            }
            // There is no application to miss yet, so it is the server that is
            // not Svix's API.
            Err(error) if error.failure == SvixFailure::NotFound => {
                Err(SvixError::new(SvixFailure::Misconfigured, error.detail))
            }
            Err(error) => Err(error),
        }
    }

    /// Asks for a portal link for the application, tied to the key, so that
    /// [`Self::end_portal_sessions`] ends it.
    pub async fn portal_link(
        &self,
        svix_app_id: &str,
        key: KeyId,
    ) -> Result<PortalLink, SvixError> {
        let access = AppPortalAccessIn {
            expiry: Some(PORTAL_EXPIRY),
            session_id: Some(key.to_string()),
            ..AppPortalAccessIn::new()
        };
        let app = svix_app_id.to_owned();
        let authentication = self.0.authentication();
        let answer = authentication.app_portal_access(app, access, None).await;
        let answer = answer.map_err(SvixError::from_sdk)?;
        Ok(PortalLink(Zeroizing::new(answer.url)))
    }

    /// Ends the portal sessions that were opened with the key.
    pub async fn end_portal_sessions(
        &self,
        svix_app_id: &str,
        key: KeyId,
    ) -> Result<(), SvixError> {
        let sessions = ApplicationTokenExpireIn {
            expiry: Some(0), // seconds until they end: now
            session_ids: Some(vec![key.to_string()]),
        };
        let app = svix_app_id.to_owned();
        let authentication = self.0.authentication();
        let answer = authentication.expire_all(app, sessions, None).await;
        match answer.map_err(SvixError::from_sdk) {
            // The open-source server has no such route.
            Err(error) if error.detail.starts_with("HTTP 404") => Ok(()),
            answer => answer,
        }
    }
}

/// The uid of an account's application: `account-` and SHA-256 of the account
/// id in hex.
///
/// Any account id gives a valid one (Svix allows `[a-zA-Z0-9\-_.]`, 256 of them,
/// not beginning with `app_`), the same one always, and two never share one.
pub fn application_uid(account: &AccountId) -> String {
    let digest = Sha256::digest(account.as_str().as_bytes());
    format!("account-{}", hex::encode(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uid_of_any_account_is_valid_stable_and_its_own() {
        let uid = |account: &str| application_uid(&AccountId::parse(account).unwrap());
        let accounts = [
            "auth0|123",
            "auth0-123",
            "jo@example.org",
            "app_1",
            "é",
            " ",
        ];
        for account in accounts {
            let uid = uid(account);
            assert!(uid.len() <= 256 && !uid.starts_with("app_"));
            assert!(
                uid.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
            );
        }
        let distinct: std::collections::HashSet<_> = accounts.iter().map(|a| uid(a)).collect();
        assert_eq!(distinct.len(), accounts.len());
        // printf %s 'auth0|123' | sha256sum
        assert_eq!(
            uid("auth0|123"),
            "account-4043445eadeeeb2a5d885af3c133f60ef57523a1ff87ba20edcc5b6de392eb6c"
        );
    }
}
