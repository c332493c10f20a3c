use std::time::Duration;

use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};
use shared::ids::KeyId;

use super::Tag;
use super::types::ConstBool;
use crate::App;
use crate::auth::SignedIn;
use crate::error::{ApiError, DocumentedError};

/// The operation `DELETE /api/v1/partners/api-key`.
pub struct RevokeKey;

/// The account now has no active key.
#[derive(Object)]
#[oai(example)]
struct RevokedKey {
    /// Always true.
    success: ConstBool<true>,
}

impl Example for RevokedKey {
    fn example() -> Self {
        Self { success: ConstBool }
    }
}

#[derive(ApiResponse)]
enum Revoked {
    /// The account now has no active key.
    #[oai(status = 200)]
    Revoked(Json<RevokedKey>),
}

/// The errors of this operation.
pub const ERRORS: &[DocumentedError] = &[
    DocumentedError::NO_SESSION,
    DocumentedError::CROSS_SITE,
    DocumentedError::UNAVAILABLE,
];

#[OpenApi]
impl RevokeKey {
    /// Revoke the account's API key
    ///
    /// The key stops working immediately and forever. If there is no active key, the
    /// response is the same. The account's webhook endpoints are kept for its next key.
    #[oai(
        path = "/api/v1/partners/api-key",
        method = "delete",
        operation_id = "deletePartnerApiKey",
        tag = "Tag::ApiKey"
    )]
    async fn revoke(
        &self,
        SignedIn(account): SignedIn,
        Data(app): Data<&App>,
    ) -> Result<Revoked, ApiError> {
        if let Some(revoked) = app.store.revoke_key(&account, app.clock.now()).await? {
            tracing::info!(key_id = %revoked.id, "key revoked");
            if let Some(svix_app_id) = revoked.svix_app_id {
                let ending = end_portal_sessions(app.clone(), svix_app_id, revoked.id);
                app.background.spawn(ending);
            }
        }
        Ok(Revoked::Revoked(Json(RevokedKey { success: ConstBool })))
    }
}

/// Ends the portal sessions that were opened with the key.
///
/// It runs in the background because the revocation must not depend on Svix. If
/// all tries fail, the sessions end when their links expire, within an hour.
async fn end_portal_sessions(app: App, svix_app_id: String, key: KeyId) {
    for pause in [1, 5, 25].map(Duration::from_secs) {
        let Err(error) = app.svix.end_portal_sessions(&svix_app_id, key).await else {
            return;
        };
        tracing::warn!(key_id = %key, %error, "could not end the portal sessions; trying again");
        tokio::time::sleep(pause).await;
    }
    if let Err(error) = app.svix.end_portal_sessions(&svix_app_id, key).await {
        tracing::error!(key_id = %key, %error, "could not end the portal sessions; they will expire");
    }
}
