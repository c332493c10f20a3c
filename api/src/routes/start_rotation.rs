use std::time::Duration;

use poem::web::Data;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi, payload::Json};
use shared::ids::KeyId;
use shared::key::PartnerKey;
use shared::metrics;
use shared::store::{NewKey, Started};
use time::OffsetDateTime;

use super::Tag;
use super::create_key::{EXAMPLE_KEY, MESSAGE};
use super::types::{EXAMPLE_PREFIX, JsonBody, OptionalJson};
use crate::App;
use crate::auth::SignedIn;
use crate::error::{ApiError, DocumentedError, ErrorCode, messages};
use crate::http::idempotency::IdempotencyHash;

/// The path of the operations that start and cancel a rotation.
pub const PATH: &str = "/api/v1/partners/api-key/rotation";

/// The operation `POST /api/v1/partners/api-key/rotation`.
pub struct StartRotation;

/// How to replace the key.
#[derive(Object)]
#[oai(example)]
struct RotationRequest {
    /// The time for which the previous key still works, in seconds: 0 to 604800. Without it,
    /// the service's default is used, which is one day unless its operators have changed it.
    #[oai(validator(minimum(value = "0"), maximum(value = "604800")))]
    overlap_seconds: Option<i32>,
}

impl JsonBody for RotationRequest {
    const INVALID: &'static str = messages::INVALID_BODY;
}

impl Example for RotationRequest {
    fn example() -> Self {
        Self {
            overlap_seconds: Some(86_400),
        }
    }
}

/// A new key, and the key that it replaces.
#[derive(Object)]
#[oai(example)]
struct RotatedKey {
    /// The key: `pk_live_` and 64 lowercase hex characters. Only this response ever
    /// shows it.
    api_key: String,
    /// The first 24 characters of the key. It identifies the key without being secret.
    prefix: String,
    /// A reminder to save the key.
    message: String,
    /// The key that the new one replaces.
    previous: PreviousKey,
}

/// A key that a rotation has replaced.
#[derive(Object)]
struct PreviousKey {
    /// The first 24 characters of the key.
    prefix: String,
    /// The time at which the key stops working.
    expires_at: OffsetDateTime,
}

impl Example for RotatedKey {
    fn example() -> Self {
        Self {
            api_key: EXAMPLE_KEY.to_owned(),
            prefix: EXAMPLE_PREFIX.to_owned(),
            message: MESSAGE.to_owned(),
            previous: PreviousKey {
                prefix: "pk_live_fedcba9876543210".to_owned(),
                // 2027-01-01T10:00:00Z
                expires_at: OffsetDateTime::UNIX_EPOCH + Duration::from_hours(499_666),
            },
        }
    }
}

#[derive(ApiResponse)]
enum Response {
    /// The key was created. The previous one works until `previous.expires_at`.
    #[oai(status = 201)]
    Started(Json<RotatedKey>),
}

/// The errors of this operation.
pub const ERRORS: &[DocumentedError] = &[
    DocumentedError::new(
        ErrorCode::BadRequest,
        "The request body is malformed, ended early, came too late, or asks for an overlap that is \
         not allowed. Or the header `Idempotency-Key` is invalid.",
        messages::INVALID_BODY,
    ),
    DocumentedError::NO_SESSION,
    DocumentedError::CROSS_SITE,
    DocumentedError::new(
        ErrorCode::NotFound,
        "The account has no active key. Nothing was changed.",
        messages::NO_KEY_TO_ROTATE,
    ),
    DocumentedError::new(
        ErrorCode::Conflict,
        "A rotation is under way. Both of its keys still work, and nothing was changed. If the \
         error has `created`, this very request has created that key before.",
        messages::ROTATION_UNDER_WAY,
    ),
    DocumentedError::new(
        ErrorCode::PayloadTooLarge,
        "The request body is larger than 16 KiB.",
        messages::LARGE_KEPT_BODY,
    ),
    DocumentedError::UNAVAILABLE,
];

#[OpenApi]
impl StartRotation {
    /// Replace the account's API key, without an interruption
    ///
    /// Creates a new key, which is shown once, in this response. The previous key works too,
    /// until `previous.expires_at`; from then on it is refused. The webhook endpoints are
    /// kept, and both keys open the portal. `getPartnerApiKey` shows when the previous key was
    /// last used. End the overlap early with `finishPartnerApiKeyRotation`, or go back to the
    /// previous key with `cancelPartnerApiKeyRotation`.
    ///
    /// If the response is lost, send the request again with the same `Idempotency-Key`. If the
    /// first one created a key, the response is 409, and `error.created` says which key it was.
    #[oai(
        path = "/api/v1/partners/api-key/rotation",
        method = "post",
        operation_id = "startPartnerApiKeyRotation",
        tag = "Tag::ApiKey"
    )]
    async fn start(
        &self,
        caller: SignedIn,
        Data(app): Data<&App>,
        /// A value that only this request has, for example a random UUID: 1 to 255 visible
        /// ASCII characters. A repetition of the request with the same value never creates
        /// another key.
        #[oai(name = "Idempotency-Key")]
        idempotency_hash: IdempotencyHash,
        body: OptionalJson<RotationRequest>,
    ) -> Result<Response, ApiError> {
        let IdempotencyHash(idempotency_hash) = idempotency_hash;
        let OptionalJson(request) = body;
        let SignedIn { account, origin } = caller;
        app.limits.create(&account)?;
        let asked = request.and_then(|request| request.overlap_seconds);
        let asked = asked.and_then(|seconds| u64::try_from(seconds).ok());
        let overlap = asked.map_or(app.http.rotation_overlap, Duration::from_secs);
        let key = PartnerKey::generate().map_err(|error| {
            tracing::error!(%error, "the operating system gave no randomness");
            ApiError::internal()
        })?;
        let now = app.clock.now();
        let end = now + overlap;
        let new = NewKey {
            id: KeyId::generate(now),
            account_id: account,
            key_hash: key.hash(),
            key_prefix: key.prefix(),
            created_at: now,
            idempotency_hash,
        };
        let (previous, job) = match app.store.start_rotation(&new, end, &origin).await? {
            Started::Started { previous, job } => (previous, job),
            Started::UnderWay => return Err(conflict()),
            Started::NoKey => return Err(no_key()),
            Started::Repeated(key) => return Err(ApiError::already_created(key.into())),
        };
        metrics::KEYS_CREATED.inc();
        let client = origin.client_address.as_deref();
        let replaces = &previous.key_prefix;
        tracing::info!(key_id = %new.id, prefix = %new.key_prefix, %replaces, until = %end, client, "rotation started");

        // As at a creation, the rows are the jobs.
        let ends_now = previous.job().filter(|_| overlap.is_zero());
        for job in job.into_iter().chain(ends_now) {
            app.nudge.send(job);
        }

        Ok(Response::Started(Json(RotatedKey {
            api_key: key.expose().to_owned(),
            prefix: new.key_prefix.to_string(),
            message: MESSAGE.to_owned(),
            previous: PreviousKey {
                prefix: previous.key_prefix.to_string(),
                expires_at: end.to_offset_date_time(),
            },
        })))
    }
}

fn conflict() -> ApiError {
    ApiError::new(ErrorCode::Conflict, messages::ROTATION_UNDER_WAY)
}

fn no_key() -> ApiError {
    ApiError::new(ErrorCode::NotFound, messages::NO_KEY_TO_ROTATE)
}
