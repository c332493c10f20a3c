use std::time::Duration;

use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi, Union};
use shared::clock::Timestamp;
use shared::ids::AccountId;
use shared::store::{RevocationReason, SessionKeys, StoredKey, WebhookState};
use time::OffsetDateTime;

use super::Tag;
use super::types::{ConstBool, EXAMPLE_PREFIX};
use crate::App;
use crate::auth::SignedInWithKeys;
use crate::error::{ApiError, DocumentedError};

/// The operation `GET /api/v1/partners/api-key`.
pub struct ShowKey;

/// The account's active key, if it has one. `has_key` tells the two shapes apart.
// The shape with more required members must be first: some generated clients try
// the shapes in order and do not look at the value of `has_key`. For the same reason it is
// an `anyOf`: with `oneOf` they find that a key is also a `NoKey`, and fail.
#[derive(Union)]
enum PartnerApiKey {
    Active(ActiveKey),
    None(NoKey),
}

/// The account has no active key.
#[derive(Object)]
#[oai(example)]
struct NoKey {
    /// Always false.
    has_key: ConstBool<false>,
    /// The end of the account's last key, if it had one.
    #[oai(skip_serializing_if_is_none)]
    revoked: Option<Revocation>,
}

/// The end of the account's last key.
#[derive(Object)]
struct Revocation {
    /// The time at which the key was revoked.
    at: OffsetDateTime,
    /// The reason.
    reason: Reason,
}

/// The reason why a key was revoked. `by_you`: somebody who was signed in to the account did
/// it. `operator`: the service's operators did it. `leaked`: the key was found in a public
/// place, so others may have used it. Then check the webhook endpoints: who had the key could
/// add some.
#[derive(Enum)]
#[oai(rename = "RevocationReason", rename_all = "snake_case")]
enum Reason {
    ByYou,
    Operator,
    Leaked,
}

/// The account's active key.
#[derive(Object)]
#[oai(example)]
struct ActiveKey {
    /// Always true.
    has_key: ConstBool<true>,
    /// The first 24 characters of the key.
    prefix: String,
    /// True once the webhooks are set up. It becomes true automatically, unless
    /// `webhook.state` is `needs_attention`.
    has_webhook: bool,
    /// The time at which the key was created.
    created_at: OffsetDateTime,
    /// The time at which the key was last used: to open the portal, or in a check by another
    /// service. Updated at most once a minute. Missing before the first use.
    #[oai(skip_serializing_if_is_none)]
    last_used_at: Option<OffsetDateTime>,
    /// The progress of setting up the webhooks.
    #[oai(skip_serializing_if_is_none)]
    webhook: Option<Webhook>,
    /// The rotation that is under way. Missing if there is none.
    #[oai(skip_serializing_if_is_none)]
    rotation: Option<Rotation>,
}

/// A rotation that is under way: the previous key still works.
#[derive(Object)]
#[expect(
    clippy::struct_field_names,
    reason = "clients see these names, beside those of the new key"
)]
struct Rotation {
    /// The first 24 characters of the previous key.
    previous_prefix: String,
    /// The time at which the previous key stops working.
    previous_expires_at: OffsetDateTime,
    /// The time at which the previous key was last used. Updated at most once a minute.
    /// Missing before its first use.
    #[oai(skip_serializing_if_is_none)]
    previous_last_used_at: Option<OffsetDateTime>,
}

/// The progress of setting up the webhooks.
#[derive(Object)]
struct Webhook {
    /// The state of the webhooks.
    state: State,
    /// The number of attempts so far.
    attempts: i32,
    /// The time at which the next attempt is due. Missing while an attempt is running,
    /// and when there will be no more attempts.
    #[oai(skip_serializing_if_is_none)]
    next_attempt_at: Option<OffsetDateTime>,
}

/// The state of the webhooks. `setting_up`: they are being set up; failed attempts are
/// repeated automatically. `ready`: the portal can be opened. `needs_attention`: there
/// will be no more attempts, because Svix rejected one or because too many failed.
/// Support can restart them. Revoking the key and creating a new one also restarts them.
#[derive(Enum)]
#[oai(rename = "WebhookState", rename_all = "snake_case")]
enum State {
    SettingUp,
    Ready,
    NeedsAttention,
}

impl Example for NoKey {
    fn example() -> Self {
        Self {
            has_key: ConstBool,
            revoked: Some(Revocation {
                // 2027-01-01T10:00:00Z
                at: OffsetDateTime::UNIX_EPOCH + Duration::from_hours(499_666),
                reason: Reason::ByYou,
            }),
        }
    }
}

impl Example for ActiveKey {
    fn example() -> Self {
        // 2027-01-01T10:00:00Z
        let created_at = OffsetDateTime::UNIX_EPOCH + Duration::from_hours(499_666);
        Self {
            has_key: ConstBool,
            prefix: EXAMPLE_PREFIX.to_owned(),
            has_webhook: true,
            created_at,
            last_used_at: Some(created_at + Duration::from_hours(1)),
            webhook: Some(Webhook {
                state: State::Ready,
                attempts: 1,
                next_attempt_at: None,
            }),
            rotation: Some(Rotation {
                previous_prefix: "pk_live_fedcba9876543210".to_owned(),
                previous_expires_at: created_at + Duration::from_hours(24),
                previous_last_used_at: Some(created_at),
            }),
        }
    }
}

impl Rotation {
    /// Returns the rotation in which this key was replaced, if it is under way.
    fn of(previous: &StoredKey, app: &App) -> Option<Self> {
        let is_live = previous.is_live(app.clock.now());
        let expires_at = previous.expires_at.filter(|_| is_live)?;
        let last_use = app.uses.last_use(previous);
        Some(Self {
            previous_prefix: previous.key_prefix.to_string(),
            previous_expires_at: expires_at.to_offset_date_time(),
            previous_last_used_at: last_use.map(Timestamp::to_offset_date_time),
        })
    }
}

impl Revocation {
    /// Returns the end of the account's last key. If it cannot be found out, that is logged,
    /// and the account sees the rest.
    async fn last_of(account: &AccountId, app: &App) -> Option<Self> {
        let found = app.store.last_revocation(account).await;
        let revocation = found.unwrap_or_else(|error| {
            tracing::error!(%error, "the last revocation cannot be shown");
            None
        })?;
        Some(Self {
            at: revocation.at.to_offset_date_time(),
            reason: match revocation.reason() {
                RevocationReason::ByYou => Reason::ByYou,
                RevocationReason::Operator => Reason::Operator,
                RevocationReason::Leaked => Reason::Leaked,
            },
        })
    }
}

impl From<StoredKey> for ActiveKey {
    fn from(key: StoredKey) -> Self {
        let state = match key.webhook_state() {
            WebhookState::SettingUp => State::SettingUp,
            WebhookState::Ready => State::Ready,
            WebhookState::NeedsAttention => State::NeedsAttention,
        };
        Self {
            has_key: ConstBool,
            prefix: key.key_prefix.to_string(),
            has_webhook: key.has_webhook,
            created_at: key.created_at.to_offset_date_time(),
            last_used_at: key.last_used_at.map(Timestamp::to_offset_date_time),
            webhook: Some(Webhook {
                state,
                attempts: key.attempts,
                next_attempt_at: key.next_attempt_due().map(Timestamp::to_offset_date_time),
            }),
            rotation: None,
        }
    }
}

#[derive(ApiResponse)]
enum Shown {
    /// The account's active key, if it has one.
    #[oai(status = 200)]
    Key(Json<PartnerApiKey>),
}

/// The errors of this operation.
pub const ERRORS: &[DocumentedError] = &[DocumentedError::NO_SESSION, DocumentedError::UNAVAILABLE];

#[OpenApi]
impl ShowKey {
    /// Show the account's API key
    ///
    /// Shows the prefix and the state of the key, never the key itself. Without an active key,
    /// it says when and why the last one was revoked.
    #[oai(
        path = "/api/v1/partners/api-key",
        method = "get",
        operation_id = "getPartnerApiKey",
        tag = "Tag::ApiKey"
    )]
    async fn show(
        &self,
        caller: SignedInWithKeys,
        Data(app): Data<&App>,
    ) -> Result<Shown, ApiError> {
        let SignedInWithKeys(SessionKeys { account, keys }) = caller;
        let key = match keys.active {
            Some(mut key) => {
                key.last_used_at = app.uses.last_use(&key);
                let previous = keys.previous.as_ref();
                PartnerApiKey::Active(ActiveKey {
                    rotation: previous.and_then(|previous| Rotation::of(previous, app)),
                    ..key.into()
                })
            }
            None => PartnerApiKey::None(NoKey {
                has_key: ConstBool,
                revoked: Revocation::last_of(&account, app).await,
            }),
        };
        Ok(Shown::Key(Json(key)))
    }
}
