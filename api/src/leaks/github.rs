//! Reports of GitHub, which searches what is public there for the secrets of its partners.
//!
//! Each report is signed. The answer tells GitHub which of its findings were keys, so that it
//! can improve its search.

mod public_keys;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use poem::http::HeaderMap;
use poem::web::{Data, Json};
use poem::{Request, handler};
use serde::{Deserialize, Serialize};
use shared::clock::Clock;
use shared::key::PartnerKey;
use shared::store::{Actor, StoreError};
use url::Url;

use self::public_keys::GithubKeys;
use super::{Leak, found_at, revoke};
use crate::error::{ApiError, ErrorCode, messages};
use crate::http::{ClientAddress, KeptBody};
use crate::published_keys::{self, ClientError, FetchError, NoKey, PublishedKeys};
use crate::{App, auth, lookups};

/// The path at which GitHub reports.
pub const PATH: &str = "/api/github/secret-scanning";

/// The body of a report: up to 1 MiB, which is some 4,000 findings.
pub const BODY: KeptBody = KeptBody::up_to(1024 * 1024, PATH);

/// The time for which GitHub's public keys are used while no new ones can be fetched.
const MAX_STALE: Duration = Duration::from_hours(7 * 24);

/// GitHub's public keys for secret scanning.
pub type Keys = PublishedKeys<GithubKeys>;

/// Starts to fetch GitHub's public keys, so that an invalid URL is logged before the first
/// report.
pub fn keys_at(url: &Url) -> Result<Keys, ClientError> {
    let keys = Keys::new(url, MAX_STALE, Clock::system())?;
    keys.refresh();
    Ok(keys)
}

/// Fetches GitHub's public keys at `url` once. Returns how many of them can be used.
pub async fn github_keys(url: &Url) -> Result<usize, FetchError> {
    published_keys::count::<GithubKeys>(url).await
}

/// One finding, as GitHub sends it. It may have further members.
#[derive(Deserialize)]
struct Finding {
    token: String,
    #[serde(rename = "type")]
    kind: String,
    url: Option<String>,
}

/// Our answer about a finding.
#[derive(Serialize)]
struct Feedback {
    token_raw: String,
    token_type: String,
    label: Label,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Label {
    /// The finding is a key, which may have been revoked before.
    TruePositive,
    /// The finding was never a key.
    FalsePositive,
}

/// Revokes the keys that GitHub has found.
#[handler]
pub async fn report(
    request: &Request,
    body: Vec<u8>,
    Data(app): Data<&App>,
) -> poem::Result<Json<Vec<Feedback>>> {
    let address = ClientAddress::of(request).as_caller();
    app.limits.may_authenticate(address)?;
    if !is_from_github(app, request.headers(), &body).await? {
        app.limits.has_failed(address);
        return Err(bad_request(messages::NOT_FROM_GITHUB).into());
    }
    let findings: Vec<Finding> = serde_json::from_slice(&body).map_err(|_| {
        tracing::error!("GitHub has signed a report that cannot be read");
        bad_request(messages::INVALID_GITHUB_REPORT)
    })?;
    let origin = auth::origin(request, Actor::Report, None);
    let leaks: Vec<Option<Leak>> = findings
        .iter()
        .map(|finding| {
            let found_at = found_at(finding.url.as_deref());
            let origin = origin.because(format!("found by GitHub {found_at}"));
            let key = PartnerKey::parse(&finding.token).ok()?;
            Some(Leak { key, origin })
        })
        .collect();
    revoke(app, leaks.iter().flatten())
        .await
        .map_err(ApiError::from)?;

    let labels = leaks.iter().map(|leak| label(app, leak.as_ref()));
    let labels = lookups::all(labels.collect())
        .await
        .map_err(ApiError::from)?;
    let feedback = findings.into_iter().zip(labels);
    let feedback = feedback.map(|(finding, label)| Feedback {
        token_raw: finding.token,
        token_type: finding.kind,
        label,
    });
    Ok(Json(feedback.collect()))
}

async fn label(app: &App, leak: Option<&Leak>) -> Result<Label, StoreError> {
    let is_key = match leak {
        Some(leak) => app.store.is_known(&leak.key.hash()).await?,
        None => false,
    };
    Ok(if is_key {
        Label::TruePositive
    } else {
        Label::FalsePositive
    })
}

/// Returns whether GitHub has signed the body, as it came. Fails while that cannot be known,
/// so that GitHub repeats the report.
async fn is_from_github(app: &App, headers: &HeaderMap, body: &[u8]) -> Result<bool, ApiError> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let name = header("github-public-key-identifier");
    let signature = header("github-public-key-signature");
    let signature = signature.and_then(|signature| STANDARD.decode(signature).ok());
    let (Some(name), Some(signature), Some(keys)) = (name, signature, &app.github) else {
        return Ok(false);
    };
    match keys.find(name).await {
        Ok(key) => Ok(key.verify_sig(body, &signature).is_ok()),
        Err(NoKey::Refused) => Ok(false),
        Err(NoKey::Unavailable { retry_after }) => {
            let error = ApiError::new(ErrorCode::Unavailable, messages::UNAVAILABLE);
            Err(error.retry_after(retry_after))
        }
    }
}

fn bad_request(message: &str) -> ApiError {
    ApiError::new(ErrorCode::BadRequest, message)
}
