//! The eight operations, written with the generated client.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};

use crate::api::types::{
    CreatedKey, ErrorBody, ErrorDetail, LeakReport, NoKey, PartnerApiKey, RotatedKey,
    RotationRequest,
};
use crate::api::{self, Client};

#[derive(Debug, thiserror::Error)]
pub enum PartnerError {
    /// An error that the OpenAPI document describes. If `retry_after` is set, send the
    /// request again after that time.
    #[error("{status}, {}: {} (request {})", .error.code, .error.message, .error.request_id)]
    Documented {
        status: StatusCode,
        error: ErrorDetail,
        retry_after: Option<Duration>,
    },
    /// Any other failure: no connection, a proxy's page, or a newer version of the service.
    #[error("{1}")]
    Unexpected(Option<StatusCode>, String),
}

impl From<api::Error<ErrorBody>> for PartnerError {
    fn from(error: api::Error<ErrorBody>) -> Self {
        match error {
            api::Error::ErrorResponse(response) => {
                let retry_after = response.headers().get(RETRY_AFTER);
                let seconds = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
                Self::Documented {
                    status: response.status(),
                    error: response.into_inner().error,
                    retry_after: seconds.map(Duration::from_secs),
                }
            }
            // The full message would contain the body, which may contain a key.
            api::Error::InvalidResponsePayload(_, cause) => {
                Self::Unexpected(None, cause.to_string())
            }
            other => Self::Unexpected(other.status(), format!("{other:#}")),
        }
    }
}

/// Creates a client. `token` is a session token, or the partner key to open the portal.
pub fn client(base_url: &str, token: &str) -> Result<Client, Box<dyn std::error::Error>> {
    let mut bearer = HeaderValue::try_from(format!("Bearer {token}"))?;
    bearer.set_sensitive(true); // omits the token from logs
    let http = reqwest::Client::builder()
        .default_headers(HeaderMap::from_iter([(AUTHORIZATION, bearer)]))
        .timeout(Duration::from_secs(15))
        .build()?;
    Ok(Client::new_with_client(base_url, http))
}

/// Creates the account's key. Only this response contains it.
///
/// Use a new random UUID as `idempotency_key` for each key, and the same one to repeat a
/// request whose response was lost. If the key was created before, the error's detail has
/// `created`.
pub async fn create(client: &Client, idempotency_key: &str) -> Result<CreatedKey, PartnerError> {
    let created = client.create_partner_api_key(Some(idempotency_key)).await?;
    Ok(created.into_inner())
}

/// Returns the account's active key, or a `NoKey`. Its `revoked` says when and why the last
/// key was revoked, if there was one.
pub async fn show(client: &Client) -> Result<PartnerApiKey, PartnerError> {
    match client.get_partner_api_key().await?.into_inner() {
        // progenitor reads a key that it cannot parse as a `NoKey`.
        PartnerApiKey::NoKey(NoKey { has_key: true, .. }) => Err(PartnerError::Unexpected(
            None,
            "a key that this client cannot parse".to_owned(),
        )),
        shown => Ok(shown),
    }
}

/// Replaces the account's key. The previous key works for `overlap` seconds. Repeat it as
/// [`create`].
pub async fn rotate(
    client: &Client,
    idempotency_key: &str,
    overlap: i32,
) -> Result<RotatedKey, PartnerError> {
    let overlap_seconds = Some(overlap);
    let request = RotationRequest { overlap_seconds };
    let started = client.start_partner_api_key_rotation(Some(idempotency_key), &request);
    Ok(started.await?.into_inner())
}

/// Ends the previous key now.
pub async fn finish_rotation(client: &Client) -> Result<(), PartnerError> {
    client.finish_partner_api_key_rotation().await?;
    Ok(())
}

/// Goes back to the previous key, and revokes the new one.
pub async fn cancel_rotation(client: &Client) -> Result<(), PartnerError> {
    client.cancel_partner_api_key_rotation().await?;
    Ok(())
}

/// Revokes the account's key. Does nothing if it has none.
pub async fn revoke(client: &Client) -> Result<(), PartnerError> {
    client.delete_partner_api_key().await?;
    Ok(())
}

/// Returns a link to the webhook portal. Needs a client whose token is the partner key.
pub async fn open_portal(client: &Client) -> Result<String, PartnerError> {
    Ok(client.get_partner_portal().await?.into_inner().url)
}

/// Reports keys that were found at `url`. Those that work are revoked at once. Needs no token.
pub async fn report_leaked(
    client: &Client,
    keys: Vec<String>,
    url: String,
) -> Result<(), PartnerError> {
    let url = Some(url);
    let report = LeakReport { keys, url };
    client.report_leaked_partner_api_keys(&report).await?;
    Ok(())
}
