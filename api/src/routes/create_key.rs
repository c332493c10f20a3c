use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};
use shared::ids::KeyId;
use shared::key::PartnerKey;
use shared::store::{Job, NewKey};

use super::Tag;
use super::types::EXAMPLE_PREFIX;
use crate::App;
use crate::auth::SignedIn;
use crate::error::{
    ApiError, DocumentedError, DocumentedErrors, ErrorCode, OperationError, messages,
};

/// What `createPartnerApiKey` says about the key. A literal of the contract.
const MESSAGE: &str = "Save this key — it will not be shown again.";

/// `POST /api/v1/partners/api-key`
pub struct CreateKey;

/// A new key.
#[derive(Object)]
#[oai(example)]
struct CreatedKey {
    /// The key: `pk_live_` and 64 lowercase hex characters. This response is the only
    /// place where it is ever shown.
    api_key: String,
    /// The first 24 characters of the key: names it where it must not be shown.
    prefix: String,
    /// A reminder to save the key.
    message: String,
}

impl Example for CreatedKey {
    fn example() -> Self {
        Self {
            api_key: format!("pk_live_{}", "0123456789abcdef".repeat(4)),
            prefix: EXAMPLE_PREFIX.to_owned(),
            message: MESSAGE.to_owned(),
        }
    }
}

#[derive(ApiResponse)]
enum Created {
    /// The key was created. Its webhooks are being set up behind the scenes.
    #[oai(status = 201)]
    Created(Json<CreatedKey>),
}

/// How it can fail.
pub struct CreateErrors;

impl DocumentedErrors for CreateErrors {
    const ALL: &'static [DocumentedError] = &[
        DocumentedError::NO_SESSION,
        DocumentedError::CROSS_SITE,
        DocumentedError::new(
            ErrorCode::Conflict,
            "The account already has an active key, which keeps working.",
            messages::KEY_EXISTS,
        ),
        DocumentedError::UNAVAILABLE,
    ];
}

#[OpenApi]
impl CreateKey {
    /// Create the account's API key
    ///
    /// The key is shown once, in this response, and stored only as a hash. An account
    /// has one active key: revoke it to create another. The webhooks are set up behind
    /// the scenes; `getPartnerApiKey` says when they are ready.
    #[oai(
        path = "/api/v1/partners/api-key",
        method = "post",
        operation_id = "createPartnerApiKey",
        tag = "Tag::ApiKey"
    )]
    async fn create(
        &self,
        SignedIn(account_id): SignedIn,
        Data(app): Data<&App>,
    ) -> Result<Created, OperationError<CreateErrors>> {
        let key = PartnerKey::generate().map_err(|error| {
            tracing::error!(%error, "the operating system gave no randomness");
            ApiError::internal()
        })?;
        let new = NewKey {
            id: KeyId::generate(),
            account_id,
            key_hash: key.hash(),
            key_prefix: key.prefix(),
            created_at: app.clock.now(),
        };
        if !app.store.insert_key(&new).await? {
            return Err(ApiError::new(ErrorCode::Conflict, messages::KEY_EXISTS))?;
        }
        tracing::info!(key_id = %new.id, prefix = %new.key_prefix, "key created");

        // The row already says that there is work; this only saves waiting for the sweep.
        app.nudge.send(Job {
            key_id: new.id,
            attempt: 0,
        });

        Ok(Created::Created(Json(CreatedKey {
            api_key: key.expose().to_owned(),
            prefix: new.key_prefix.to_string(),
            message: MESSAGE.to_owned(),
        })))
    }
}
