use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};

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
    /// The key stops working immediately and forever. During a rotation, so does the previous
    /// key. If there is no active key, the response is the same. The account's webhook
    /// endpoints are kept for its next key.
    #[oai(
        path = "/api/v1/partners/api-key",
        method = "delete",
        operation_id = "deletePartnerApiKey",
        tag = "Tag::ApiKey"
    )]
    async fn revoke(&self, caller: SignedIn, Data(app): Data<&App>) -> Result<Revoked, ApiError> {
        let SignedIn { account, origin } = caller;
        let now = app.clock.now();
        let revoked = app.store.revoke_keys(&account, now, &origin).await?;
        if !revoked.is_empty() {
            app.limits.has_revoked(&account);
        }
        for revoked in &revoked {
            app.has_revoked(revoked, &origin);
        }
        Ok(Revoked::Revoked(Json(RevokedKey { success: ConstBool })))
    }
}
