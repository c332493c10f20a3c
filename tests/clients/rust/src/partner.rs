//! The four things to do with the API, in a partner's own words.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};

use crate::api::types::{ActiveKey, CreatedKey, ErrorBody, ErrorDetail, NoKey, PartnerApiKey};
use crate::api::{self, Client};

#[derive(Debug, thiserror::Error)]
pub enum PartnerError {
    /// The service said no. To be tried again after `retry_after`, if there is one.
    #[error("{status}, {}: {} (request {})", .error.code, .error.message, .error.request_id)]
    Refused {
        status: StatusCode,
        error: ErrorDetail,
        retry_after: Option<Duration>,
    },
    /// Not what the service says: no connection, a proxy's page, a newer version.
    #[error("{1}")]
    Unexpected(Option<StatusCode>, String),
}

impl From<api::Error<ErrorBody>> for PartnerError {
    fn from(error: api::Error<ErrorBody>) -> Self {
        match error {
            api::Error::ErrorResponse(answer) => {
                let wait = answer.headers().get(RETRY_AFTER);
                let seconds = wait.and_then(|value| value.to_str().ok()?.parse().ok());
                Self::Refused {
                    status: answer.status(),
                    error: answer.into_inner().error,
                    retry_after: seconds.map(Duration::from_secs),
                }
            }
            // The whole of it would show the body, in which there may be a key.
            api::Error::InvalidResponsePayload(_, why) => Self::Unexpected(None, why.to_string()),
            other => Self::Unexpected(other.status(), format!("{other:#}")),
        }
    }
}

/// A client that presents the token, be it a session or a partner key, with each request.
pub fn client(base_url: &str, token: &str) -> Result<Client, Box<dyn std::error::Error>> {
    let mut bearer = HeaderValue::try_from(format!("Bearer {token}"))?;
    bearer.set_sensitive(true); // not for logs
    let http = reqwest::Client::builder()
        .default_headers(HeaderMap::from_iter([(AUTHORIZATION, bearer)]))
        .timeout(Duration::from_secs(15))
        .build()?;
    Ok(Client::new_with_client(base_url, http))
}

/// Creates the account's key, which is in this answer and never shown again.
pub async fn create(client: &Client) -> Result<CreatedKey, PartnerError> {
    Ok(client.create_partner_api_key().await?.into_inner())
}

/// The account's key, if it has one.
pub async fn show(client: &Client) -> Result<Option<ActiveKey>, PartnerError> {
    match client.get_partner_api_key().await?.into_inner() {
        PartnerApiKey::ActiveKey(key) => Ok(Some(key)),
        PartnerApiKey::NoKey(NoKey { has_key: false }) => Ok(None),
        // A key with something in it that this client is too old to know.
        PartnerApiKey::NoKey(NoKey { has_key: true }) => Err(PartnerError::Unexpected(
            None,
            "an unknown kind of key".to_owned(),
        )),
    }
}

/// Revokes the account's key. Without a key it does nothing.
pub async fn revoke(client: &Client) -> Result<(), PartnerError> {
    client.delete_partner_api_key().await?;
    Ok(())
}

/// A fresh link into the webhook portal. The client's token is the partner key.
pub async fn open_portal(client: &Client) -> Result<String, PartnerError> {
    Ok(client.get_partner_portal().await?.into_inner().url)
}
