//! The Svix client: the official SDK, with its errors sorted by what they mean for
//! the service.

mod endpoints;
mod error;

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use svix::api::{Svix, SvixOptions};
use svix::models::{AppPortalAccessIn, ApplicationIn, ApplicationTokenExpireIn};
use url::Url;

use crate::config::is_safe;
use crate::ids::{AccountId, KeyId};
use crate::metrics::{SvixCall, SvixCalls};

pub use endpoints::WebhookEndpoint;
pub use error::{SvixError, SvixFailure};

/// The shortest lifetime that Svix allows for a portal link, in seconds.
const PORTAL_EXPIRY: u64 = 3600;

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

impl SvixConfig {
    /// Returns the URL of the server.
    pub(crate) fn server(&self) -> &str {
        let of_region = || self.region().map_or("https://api.svix.com", |(_, url)| url);
        self.server_url.as_deref().unwrap_or_else(of_region)
    }

    /// Returns the region of the cloud that the token names at its end, and the URL of its
    /// server. The regions are those that the SDK knows.
    pub(crate) fn region(&self) -> Option<(&'static str, &'static str)> {
        let region = self.token.expose_secret().rsplit('.').next();
        Some(match region? {
            "us" => ("us", "https://api.us.svix.com"),
            "eu" => ("eu", "https://api.eu.svix.com"),
            "in" => ("in", "https://api.in.svix.com"),
            "ca" => ("ca", "https://api.ca.svix.com"),
            "au" => ("au", "https://api.au.svix.com"),
            _ => return None,
        })
    }
}

/// A client of Svix.
#[derive(Clone)]
pub struct SvixClient {
    svix: Svix,
    uid_prefix: String,
    calls: SvixCalls,
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
            calls: SvixCalls::to(config.server()),
            svix: Svix::new(token, Some(options)),
            uid_prefix: config.uid_prefix.clone(),
        }
    }

    /// Makes a call, measures it, and sorts its error.
    async fn call<T>(
        &self,
        call: SvixCall,
        answer: impl Future<Output = Result<T, svix::error::Error>>,
    ) -> Result<T, SvixError> {
        let running = self.calls.begin(call);
        let mut answer = answer.await.map_err(SvixError::from_sdk);
        if let (SvixCall::CreateApplication, Err(error)) = (call, &mut answer)
            && error.failure == SvixFailure::NotFound
        {
            // A creation needs no existing application, so this cannot be Svix's API.
            error.failure = SvixFailure::NoSuchRoute;
        }
        running.ended(answer.as_ref().err().map(|error| error.failure));
        answer
    }

    /// Asks for an application that nobody has, so that Svix checks our token. Changes nothing.
    pub(crate) async fn try_token(&self) -> Result<(), SvixError> {
        self.look_for(format!("{}doctor", self.uid_prefix)).await
    }

    /// Asks for an application by its id or uid. Fails unless the answer is Svix's, whether there
    /// is one or not.
    async fn look_for(&self, application: String) -> Result<(), SvixError> {
        let applications = self.svix.application();
        let get = applications.get(application);
        match self.call(SvixCall::GetApplication, get).await {
            Err(error) if error.failure != SvixFailure::NotFound => Err(error),
            Ok(_) | Err(_) => Ok(()),
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
        let create = applications.get_or_create(application, None);
        match self.call(SvixCall::CreateApplication, create).await {
            Ok(application) => Ok(application.id),
            // Another call created it at the same moment.
            Err(error) if error.failure == SvixFailure::Conflict => {
                let get = applications.get(uid);
                Ok(self.call(SvixCall::GetApplication, get).await?.id)
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
        let open = authentication.app_portal_access(app, access, None);
        let url = SecretString::from(self.call(SvixCall::OpenPortal, open).await?.url);
        // Browsers follow it: it must be neither `javascript:` nor readable on its way.
        if !Url::parse(url.expose_secret()).is_ok_and(|url| is_safe(&url)) {
            let detail = "a portal link that is not https";
            return Err(SvixError::new(SvixFailure::Transient, detail));
        }
        Ok(PortalLink(url))
    }

    /// Ends the portal sessions that were opened with the key. A Svix server without this
    /// route, such as the open-source one, has no sessions to end. But another server lacks it
    /// too, for instance a proxy while Svix is away.
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
        let end = authentication.expire_all(app, sessions, None);
        let ended = self.call(SvixCall::EndPortalSessions, end).await;
        match ended.as_ref().map_err(|error| error.failure) {
            Err(SvixFailure::NoSuchRoute) => self.look_for(svix_app_id.to_owned()).await,
            Err(SvixFailure::NotFound) => Ok(()),
            _ => ended,
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
