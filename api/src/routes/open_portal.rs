use std::time::Duration;

use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};
use shared::store::{FoundKey, Origin, StoreError, StoredKey, WebhookState};
use shared::svix::{PortalLink, SvixFailure};

use super::Tag;
use crate::App;
use crate::auth::KeyHolder;
use crate::error::{ApiError, DocumentedError, ErrorCode, messages};
use crate::portal::PortalError;

/// The shortest `Retry-After`, used when an attempt is running or about to start.
const MIN_RETRY_AFTER: Duration = Duration::from_secs(2);

/// The operation `GET /api/v1/partners/portal`.
pub struct OpenPortal;

/// A link to the portal.
#[derive(Object)]
#[oai(example)]
struct Portal {
    /// The link, valid for one hour. Whoever opens it is signed in to the account's Svix
    /// App Portal.
    url: String,
}

impl Example for Portal {
    fn example() -> Self {
        Self {
            url: "https://app.svix.com/login#key=eyJhcHBJZCI6ImFwcF8x".to_owned(),
        }
    }
}

#[derive(ApiResponse)]
enum Opened {
    /// A new link.
    #[oai(status = 200)]
    Link(Json<Portal>),
}

/// The errors of this operation.
pub const ERRORS: &[DocumentedError] = &[
    DocumentedError::new(
        ErrorCode::Unauthorized,
        "There is no active partner API key in the request.",
        messages::NO_PARTNER_KEY,
    ),
    DocumentedError::new(
        ErrorCode::NotFound,
        "The webhooks are not set up yet. Without `Retry-After`, they could not be set up.",
        messages::SETTING_UP,
    ),
    DocumentedError::new(ErrorCode::BadGateway, "Svix failed.", messages::SVIX_FAILED),
    DocumentedError::new(
        ErrorCode::Unavailable,
        "The database is unavailable, or too many portal links are asked for at the same time.",
        messages::UNAVAILABLE,
    ),
    DocumentedError::new(
        ErrorCode::GatewayTimeout,
        "Svix did not answer in time.",
        messages::SVIX_SLOW,
    ),
];

#[OpenApi]
impl OpenPortal {
    /// Open the webhook portal
    ///
    /// Exchanges the partner API key for a short-lived link to the account's Svix App
    /// Portal. While the webhooks are being set up, for the first time or again, the
    /// response is 404 with `Retry-After`. A 404 without `Retry-After` means that they
    /// could not be set up; `webhook.state` of the key is then `needs_attention`.
    #[oai(
        path = "/api/v1/partners/portal",
        method = "get",
        operation_id = "getPartnerPortal",
        tag = "Tag::Webhooks"
    )]
    async fn open(&self, caller: KeyHolder, Data(app): Data<&App>) -> Result<Opened, ApiError> {
        let KeyHolder { key, origin } = caller;
        app.limits.portal(key.id)?;
        app.uses.record(&key, app.clock.now());

        let svix_app_id = application(app, &key).await?;
        let link = match app.portal.link(&svix_app_id, key.id).await {
            Ok(link) => link,
            Err(PortalError::Busy) => return Err(busy()),
            Err(PortalError::Svix(error)) => {
                tracing::error!(key_id = %key.id, %error, "Svix gave no portal link");
                error.alarm_if_misconfigured();
                if error.failure == SvixFailure::NotFound {
                    recreate_application(app, &key).await?;
                }
                return Err(client_error(error.failure));
            }
        };
        record_opening(app, &key, &origin).await?;
        Ok(Opened::Link(Json(Portal { url: expose(&link) })))
    }
}

/// Returns the id of the application at Svix. Fails if there is none yet.
async fn application(app: &App, key: &FoundKey) -> Result<String, ApiError> {
    if let Some(svix_app_id) = &key.svix_app_id {
        return Ok(svix_app_id.clone());
    }
    // A key that was replaced before there was one gets it from its successor.
    if key.expires_at.is_some() {
        let adopted = app.store.adopt_application(key.id, app.clock.now());
        if let Some(svix_app_id) = adopted.await? {
            return Ok(svix_app_id);
        }
    }
    let keys = app.store.keys_of(&key.account_id).await?;
    let key = keys.with_id(key.id).ok_or_else(ApiError::no_partner_key)?;
    match &key.svix_app_id {
        Some(svix_app_id) => Ok(svix_app_id.clone()), // it has got one meanwhile
        None => Err(not_set_up(app, &key)),
    }
}

/// Returns the link in the clear. This is the only place where it leaves the process.
fn expose(link: &PortalLink) -> String {
    link.expose().to_owned()
}

/// Records that the link is handed out. Fails if the key ended while Svix was working: then
/// it must not be. If the key ends later, its end is also the end of the portal sessions of
/// the link.
async fn record_opening(app: &App, key: &FoundKey, origin: &Origin) -> Result<(), ApiError> {
    let now = app.clock.now();
    let is_active = app.store.record_portal_opened(key.id, now, origin).await?;
    if !is_active {
        return Err(ApiError::no_partner_key());
    }
    let client = origin.client_address.as_deref();
    tracing::info!(key_id = %key.id, prefix = %key.key_prefix, client, "portal opened");
    Ok(())
}

/// Returns the 503 for a time in which more links are asked for than Svix gives.
fn busy() -> ApiError {
    ApiError::new(ErrorCode::Unavailable, messages::PORTAL_BUSY).retry_after(MIN_RETRY_AFTER)
}

/// Returns the 404 for a key without webhooks.
fn not_set_up(app: &App, key: &StoredKey) -> ApiError {
    if key.webhook_state() == WebhookState::NeedsAttention {
        return ApiError::new(
            ErrorCode::NotFound,
            "Your webhooks could not be set up. Contact support, or revoke the key and create a \
             new one.",
        );
    }
    let next = key.next_attempt_due().map(|at| at.since(app.clock.now()));
    let error = ApiError::new(ErrorCode::NotFound, messages::SETTING_UP);
    error.retry_after(next.unwrap_or_default().max(MIN_RETRY_AFTER))
}

/// Makes the worker create the application at Svix again, after somebody deleted
/// it there.
async fn recreate_application(app: &App, key: &FoundKey) -> Result<(), StoreError> {
    if let Some(job) = app.store.reprovision(key.id, app.clock.now()).await? {
        app.nudge.send(job);
    }
    Ok(())
}

/// Returns what the client is told about a failure of Svix.
fn client_error(failure: SvixFailure) -> ApiError {
    match failure {
        SvixFailure::NotFound => {
            let message = "Your webhooks are being set up again. Please try again shortly.";
            ApiError::new(ErrorCode::NotFound, message).retry_after(MIN_RETRY_AFTER)
        }
        SvixFailure::TimedOut => ApiError::new(ErrorCode::GatewayTimeout, messages::SVIX_SLOW),
        _ => ApiError::new(ErrorCode::BadGateway, messages::SVIX_FAILED),
    }
}
