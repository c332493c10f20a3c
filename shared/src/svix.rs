//! The Svix client: the official SDK, with its errors sorted by what they mean for
//! the service.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use sha2::{Digest, Sha256};
use svix::api::{EndpointListOptions, Svix, SvixOptions};
use svix::models::{
    AppPortalAccessIn, ApplicationIn, ApplicationTokenExpireIn, EndpointOut, EndpointPatch,
};
use url::Url;

use crate::clock::Timestamp;
use crate::config::is_safe;
use crate::ids::{AccountId, KeyId};

/// The shortest lifetime that Svix allows for a portal link, in seconds.
const PORTAL_EXPIRY: u64 = 3600;

/// The meaning of a failed call to Svix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SvixFailure {
    /// There was no answer in time. Svix may have done what was asked.
    TimedOut,
    /// The connection failed, the answer was unreadable, or its status was 408 or 5xx.
    /// A retry may succeed.
    Transient,
    /// Svix answered 429.
    RateLimited,
    /// Svix answered 401 or 403: our token is invalid.
    Unauthorized,
    /// The server answered 404 without Svix's error code: it does not have this
    /// route. A server that has none of the routes is not a Svix server.
    NoSuchRoute,
    /// Svix answered 404 with its own error code: the application does not exist.
    NotFound,
    /// Svix answered 409: another call created the application first.
    Conflict,
    /// Svix answered 400 or 422: the same call can never succeed.
    Rejected,
}

/// An error of a call to Svix. The text is for operators and contains no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct SvixError {
    /// The meaning of the error.
    pub failure: SvixFailure,
    detail: String,
}

impl SvixError {
    /// Creates an error with this meaning and this text.
    pub fn new(failure: SvixFailure, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { failure, detail }
    }

    /// Returns whether our settings are the cause, so that only an operator can fix it.
    pub fn is_misconfiguration(&self) -> bool {
        matches!(
            self.failure,
            SvixFailure::Unauthorized | SvixFailure::NoSuchRoute
        )
    }

    /// Logs an error and counts a metric if our settings are the cause. The name of
    /// the field follows tracing-opentelemetry's convention for counters.
    pub fn alarm_if_misconfigured(&self) {
        if self.is_misconfiguration() {
            tracing::error!(
                monotonic_counter.svix_misconfigured = 1_u64,
                error = %self,
                "Svix refuses our calls; check SVIX_TOKEN and SVIX_SERVER_URL"
            );
        }
    }

    /// Sorts an error of the SDK. Of the answer's body only Svix's own error code is
    /// kept, because the rest may repeat what we sent.
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
                    401 | 403 => SvixFailure::Unauthorized,
                    404 => SvixFailure::NoSuchRoute,
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
            // The SDK gives only a text here, which may quote an answer. So it is not
            // passed on, and chooses nothing but our own text.
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

/// Returns whether this looks like one of Svix's error codes, for instance
/// `not_found`.
fn is_error_code(code: &str) -> bool {
    (1..=64).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// A link to the Svix App Portal. It signs in whoever has it, so it is a secret.
#[derive(Debug)]
pub struct PortalLink(SecretString);

impl PortalLink {
    /// Returns the link in the clear, for the one answer that shows it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// The address of Svix and our credentials there.
#[derive(Debug, Clone)]
pub struct SvixConfig {
    /// The API token.
    pub token: SecretString,
    /// The URL of the server. Without it, the token names the cloud region.
    pub server_url: Option<String>,
    /// The beginning of our applications' uids, so that two deployments can share an
    /// environment of Svix. Empty by default.
    pub uid_prefix: String,
}

/// A client of Svix.
#[derive(Clone)]
pub struct SvixClient {
    svix: Svix,
    uid_prefix: String,
}

impl SvixClient {
    /// Creates a client whose calls may take `timeout`, from connecting to the end of
    /// the answer.
    pub fn new(config: &SvixConfig, timeout: Duration) -> Self {
        let options = SvixOptions {
            server_url: config.server_url.clone(),
            timeout: Some(timeout),
            num_retries: Some(0), // the row decides about retries
            ..SvixOptions::default()
        };
        let token = config.token.expose_secret().to_owned();
        Self {
            svix: Svix::new(token, Some(options)),
            uid_prefix: config.uid_prefix.clone(),
        }
    }

    /// Gets the account's application, or creates it. Returns its id at Svix.
    /// Idempotent, because the uid is derived from the account.
    pub async fn ensure_application(&self, account: &AccountId) -> Result<String, SvixError> {
        let uid = application_uid(&self.uid_prefix, account);
        let application = ApplicationIn {
            uid: Some(uid.clone()),
            metadata: Some(BTreeMap::from([("account_id".into(), account.to_string())])),
            ..ApplicationIn::new(account.to_string())
        };
        let applications = self.svix.application();
        let created = applications.get_or_create(application, None).await;
        match created.map_err(SvixError::from_sdk) {
            Ok(application) => Ok(application.id),
            // Another call created it at the same moment.
            Err(error) if error.failure == SvixFailure::Conflict => {
                let existing = applications.get(uid).await;
                Ok(existing.map_err(SvixError::from_sdk)?.id)
            }
            // A creation needs no existing application, so this cannot be Svix's API.
            Err(error) if error.failure == SvixFailure::NotFound => {
                Err(SvixError::new(SvixFailure::NoSuchRoute, error.detail))
            }
            Err(error) => Err(error),
        }
    }

    /// Asks Svix for a portal link to the application. Its sessions are tied to the
    /// key, so that [`Self::end_portal_sessions`] can end them.
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
        let authentication = self.svix.authentication();
        let answer = authentication.app_portal_access(app, access, None).await;
        let url = SecretString::from(answer.map_err(SvixError::from_sdk)?.url);
        // Browsers follow it: it must be neither `javascript:` nor readable on its way.
        if !Url::parse(url.expose_secret()).is_ok_and(|url| is_safe(&url)) {
            let detail = "a portal link that is not https";
            return Err(SvixError::new(SvixFailure::Transient, detail));
        }
        Ok(PortalLink(url))
    }

    /// Ends the portal sessions that were opened with the key. A server without this
    /// route, such as the open-source one, has no sessions to end.
    pub async fn end_portal_sessions(
        &self,
        svix_app_id: &str,
        key: KeyId,
    ) -> Result<(), SvixError> {
        let sessions = ApplicationTokenExpireIn {
            expiry: Some(0), // seconds until they end
            session_ids: Some(vec![key.to_string()]),
        };
        let app = svix_app_id.to_owned();
        let authentication = self.svix.authentication();
        let answer = authentication.expire_all(app, sessions, None).await;
        match answer.map_err(SvixError::from_sdk) {
            Err(error)
                if matches!(
                    error.failure,
                    SvixFailure::NoSuchRoute | SvixFailure::NotFound
                ) =>
            {
                Ok(())
            }
            answer => answer,
        }
    }
}

impl SvixClient {
    /// Returns the webhook endpoints of the application, at most [`MAX_ENDPOINTS`].
    pub async fn endpoints(&self, svix_app_id: &str) -> Result<Vec<WebhookEndpoint>, SvixError> {
        let mut endpoints = Vec::new();
        let mut iterator = None;
        loop {
            let options = EndpointListOptions {
                limit: Some(ENDPOINTS_A_PAGE),
                iterator,
                ..EndpointListOptions::default()
            };
            let api = self.svix.endpoint();
            let page = api.list(svix_app_id.to_owned(), Some(options)).await;
            let page = page.map_err(SvixError::from_sdk)?;
            endpoints.extend(page.data.into_iter().map(WebhookEndpoint::from_sdk));
            iterator = page.iterator;
            if page.done || iterator.is_none() || endpoints.len() >= MAX_ENDPOINTS {
                return Ok(endpoints);
            }
        }
    }

    /// Makes Svix send nothing more to the endpoint.
    pub async fn disable_endpoint(
        &self,
        svix_app_id: &str,
        endpoint_id: &str,
    ) -> Result<(), SvixError> {
        let patch = EndpointPatch {
            disabled: Some(true),
            ..EndpointPatch::new()
        };
        let (app, endpoint) = (svix_app_id.to_owned(), endpoint_id.to_owned());
        let done = self.svix.endpoint().patch(app, endpoint, patch).await;
        done.map_err(SvixError::from_sdk)?;
        Ok(())
    }
}

/// The number of endpoints that are asked for at once, and at all. Svix allows an
/// application 50 endpoints by default.
const ENDPOINTS_A_PAGE: u64 = 250;
const MAX_ENDPOINTS: usize = 5_000;

/// A partner's webhook endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WebhookEndpoint {
    /// The endpoint's id at Svix.
    pub id: String,
    /// The address that gets the messages.
    pub url: String,
    /// True if no messages are sent to it.
    pub disabled: bool,
    /// The time of creation.
    pub created_at: Timestamp,
}

impl WebhookEndpoint {
    fn from_sdk(endpoint: EndpointOut) -> Self {
        Self {
            id: endpoint.id,
            url: endpoint.url,
            disabled: endpoint.disabled.unwrap_or(false),
            created_at: Timestamp::from_micros(endpoint.created_at.timestamp_micros()),
        }
    }
}

/// Returns the uid of an account's application: the deployment's prefix, `account-` and
/// the SHA-256 of the account id in hex.
///
/// Any account id gives a valid uid (Svix allows up to 256 of `[a-zA-Z0-9\-_.]`, not
/// beginning with `app_`). An account always has the same uid, and no two accounts
/// share one.
pub fn application_uid(prefix: &str, account: &AccountId) -> String {
    let digest = Sha256::digest(account.as_str().as_bytes());
    format!("{prefix}account-{}", hex::encode(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uid_of_any_account_is_valid_stable_and_unique() {
        let uid = |account: &str| application_uid("", &AccountId::parse(account).unwrap());
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
