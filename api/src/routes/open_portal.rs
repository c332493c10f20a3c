use std::time::Duration;

use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};
use shared::store::{StoredKey, WebhookState};
use shared::svix::{PortalLink, SvixError, SvixFailure};

use super::Tag;
use crate::App;
use crate::auth::KeyHolder;
use crate::error::{
    ApiError, DocumentedError, DocumentedErrors, ErrorCode, OperationError, messages,
};

/// `last_used_at` is kept to this precision, to spare the database a write at
/// each use.
const LAST_USED_PRECISION: Duration = Duration::from_mins(1);
/// What a client is asked to wait where the next attempt's time says nothing:
/// an attempt is under way or about to be.
const SOON: Duration = Duration::from_secs(2);

/// `GET /api/v1/partners/portal`
pub struct OpenPortal;

/// A link into the portal.
#[derive(Object)]
#[oai(example)]
struct Portal {
    /// Signs whoever opens it into the account's Svix App Portal; works for an hour.
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
    /// A fresh link.
    #[oai(status = 200)]
    Link(Json<Portal>),
}

/// How it can fail.
pub struct PortalErrors;

impl DocumentedErrors for PortalErrors {
    const ALL: &'static [DocumentedError] = &[
        DocumentedError::new(
            ErrorCode::Unauthorized,
            "No active partner API key.",
            messages::NO_PARTNER_KEY,
        ),
        DocumentedError::new(
            ErrorCode::NotFound,
            "The webhooks are not set up yet or, without `Retry-After`, could not be.",
            messages::SETTING_UP,
        ),
        DocumentedError::new(ErrorCode::BadGateway, "Svix failed.", messages::SVIX_FAILED),
        DocumentedError::new(
            ErrorCode::Unavailable,
            "The database is unavailable.",
            messages::UNAVAILABLE,
        ),
        DocumentedError::new(
            ErrorCode::GatewayTimeout,
            "Svix did not answer in time.",
            messages::SVIX_SLOW,
        ),
    ];
}

#[OpenApi]
impl OpenPortal {
    /// Open the webhook portal
    ///
    /// Exchanges the partner API key for a short-lived link to the account's Svix App
    /// Portal. While the webhooks are still being set up, for the first time or again,
    /// the answer is 404 with `Retry-After`. Without it they were given up, as
    /// `webhook.state` of the key says.
    #[oai(
        path = "/api/v1/partners/portal",
        method = "get",
        operation_id = "getPartnerPortal",
        tag = "Tag::Webhooks"
    )]
    async fn open(
        &self,
        KeyHolder(key): KeyHolder,
        Data(app): Data<&App>,
    ) -> Result<Opened, OperationError<PortalErrors>> {
        note_use(app, &key);

        let Some(svix_app_id) = key.svix_app_id.as_deref().filter(|_| key.has_webhook) else {
            return Err(not_set_up(app, &key))?;
        };
        let link = match app.svix.portal_link(svix_app_id, key.id).await {
            Ok(link) => link,
            Err(error) => return Err(svix_failed(app, &key, &error).await?)?,
        };
        still_active(app, &key).await?;
        Ok(Opened::Link(Json(Portal { url: expose(&link) })))
    }
}

/// The one place where the link leaves the process.
fn expose(link: &PortalLink) -> String {
    link.expose().to_owned()
}

/// Notes the use, in the background: nobody waits for it.
fn note_use(app: &App, key: &StoredKey) {
    let now = app.clock.now();
    let recent = key
        .last_used_at
        .is_some_and(|at| now.since(at) < LAST_USED_PRECISION);
    if !recent {
        let (store, id) = (app.store.clone(), key.id);
        app.background.spawn(async move {
            if let Err(error) = store.touch_key(id, now).await {
                tracing::warn!(key_id = %id, %error, "the use of a key was not noted");
            }
        });
    }
}

/// A key revoked while Svix was working gets no link. One revoked after this
/// has its portal sessions ended by the revocation, which comes later.
async fn still_active(app: &App, key: &StoredKey) -> Result<(), ApiError> {
    let active = app.store.active_key(&key.account_id).await?;
    let is_same = active.is_some_and(|active| active.id == key.id);
    is_same.then_some(()).ok_or_else(ApiError::no_partner_key)
}

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
    error.retry_after(next.unwrap_or_default().max(SOON))
}

/// What Svix's failure means for the client.
async fn svix_failed(app: &App, key: &StoredKey, error: &SvixError) -> Result<ApiError, ApiError> {
    tracing::error!(key_id = %key.id, %error, "Svix gave no portal link");
    error.alarm_if_misconfigured();
    Ok(match error.failure {
        // Somebody deleted the application at Svix: have it made again.
        SvixFailure::NotFound => {
            if let Some(job) = app.store.reprovision(key.id, app.clock.now()).await? {
                app.nudge.send(job);
            }
            let message = "Your webhooks are being set up again. Please try again shortly.";
            ApiError::new(ErrorCode::NotFound, message).retry_after(SOON)
        }
        SvixFailure::TimedOut => ApiError::new(ErrorCode::GatewayTimeout, messages::SVIX_SLOW),
        _ => ApiError::new(ErrorCode::BadGateway, messages::SVIX_FAILED),
    })
}
