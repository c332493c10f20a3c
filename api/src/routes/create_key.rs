use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};
use shared::ids::KeyId;
use shared::key::PartnerKey;
use shared::metrics;
use shared::store::{Job, NewKey};

use super::Tag;
use super::types::EXAMPLE_PREFIX;
use crate::App;
use crate::auth::SignedIn;
use crate::error::{ApiError, DocumentedError, ErrorCode, messages};
use crate::http::idempotency::IdempotencyHash;

/// The `message` of the response. A literal of the contract.
pub const MESSAGE: &str = "Save this key — it will not be shown again.";

/// The key in the document's examples.
pub const EXAMPLE_KEY: &str =
    "pk_live_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// The operation `POST /api/v1/partners/api-key`.
pub struct CreateKey;

/// A new key.
#[derive(Object)]
#[oai(example)]
struct CreatedKey {
    /// The key: `pk_live_` and 64 lowercase hex characters. Only this response ever
    /// shows it.
    api_key: String,
    /// The first 24 characters of the key. It identifies the key without being secret.
    prefix: String,
    /// A reminder to save the key.
    message: String,
}

impl Example for CreatedKey {
    fn example() -> Self {
        Self {
            api_key: EXAMPLE_KEY.to_owned(),
            prefix: EXAMPLE_PREFIX.to_owned(),
            message: MESSAGE.to_owned(),
        }
    }
}

#[derive(ApiResponse)]
enum Created {
    /// The key was created. Its webhooks are being set up in the background.
    #[oai(status = 201)]
    Created(Json<CreatedKey>),
}

/// The errors of this operation.
pub const ERRORS: &[DocumentedError] = &[
    DocumentedError::NO_SESSION,
    DocumentedError::CROSS_SITE,
    DocumentedError::new(
        ErrorCode::BadRequest,
        "The header `Idempotency-Key` is invalid, or the request body is malformed or ended \
         early. No body is needed.",
        messages::INVALID_IDEMPOTENCY_KEY,
    ),
    DocumentedError::new(
        ErrorCode::Conflict,
        "The account already has an active key. That key still works. If the error has \
         `created`, this very request has created that key before.",
        messages::KEY_EXISTS,
    ),
    DocumentedError::UNAVAILABLE,
];

#[OpenApi]
impl CreateKey {
    /// Create the account's API key
    ///
    /// The key is shown once, in this response; only its hash is stored. An account has
    /// at most one active key: replace it with `startPartnerApiKeyRotation`, or revoke it
    /// to create another. The webhooks are set up in the background; `getPartnerApiKey`
    /// shows when they are ready.
    ///
    /// If the response is lost, send the request again with the same `Idempotency-Key`. If the
    /// first one created a key, the response is 409, and `error.created` says which key it was.
    #[oai(
        path = "/api/v1/partners/api-key",
        method = "post",
        operation_id = "createPartnerApiKey",
        tag = "Tag::ApiKey"
    )]
    async fn create(
        &self,
        caller: SignedIn,
        Data(app): Data<&App>,
        /// A value that only this request has, for example a random UUID: 1 to 255 visible
        /// ASCII characters. A repetition of the request with the same value never creates a
        /// second key. The value is remembered with the key, also after the key was revoked,
        /// until the operators of the service delete old revoked keys.
        #[oai(name = "Idempotency-Key")]
        idempotency_hash: IdempotencyHash,
    ) -> Result<Created, ApiError> {
        let IdempotencyHash(idempotency_hash) = idempotency_hash;
        let SignedIn { account, origin } = caller;
        app.limits.create(&account)?;
        let key = PartnerKey::generate().map_err(|error| {
            tracing::error!(%error, "the operating system gave no randomness");
            ApiError::internal()
        })?;
        let now = app.clock.now();
        let new = NewKey {
            id: KeyId::generate(now),
            account_id: account,
            key_hash: key.hash(),
            key_prefix: key.prefix(),
            created_at: now,
            idempotency_hash,
        };
        if !app.store.insert_key(&new, &origin).await? {
            return Err(refused(app, &new).await?);
        }
        metrics::KEYS_CREATED.inc();
        let client = origin.client_address.as_deref();
        tracing::info!(key_id = %new.id, prefix = %new.key_prefix, client, "key created");

        // The row is the job. The nudge only saves waiting for the next sweep.
        app.nudge.send(Job::new(new.id, 0));

        Ok(Created::Created(Json(CreatedKey {
            api_key: key.expose().to_owned(),
            prefix: new.key_prefix.to_string(),
            message: MESSAGE.to_owned(),
        })))
    }
}

/// Returns the error for a key that was not stored.
async fn refused(app: &App, new: &NewKey) -> Result<ApiError, ApiError> {
    let key_exists = ApiError::new(ErrorCode::Conflict, messages::KEY_EXISTS);
    let Some(hash) = &new.idempotency_hash else {
        return Ok(key_exists);
    };
    let earlier = app.store.key_of_request(&new.account_id, hash).await?;
    Ok(earlier.map_or(key_exists, |key| ApiError::already_created(key.into())))
}
