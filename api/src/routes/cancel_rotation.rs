use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, OpenApi};
use shared::store::Canceled;

use super::Tag;
use super::types::EndedRotation;
use crate::App;
use crate::auth::SignedIn;
use crate::error::{ApiError, DocumentedError, ErrorCode, messages};

/// The operation `DELETE /api/v1/partners/api-key/rotation`.
pub struct CancelRotation;

#[derive(ApiResponse)]
enum Response {
    /// No rotation is under way. If one was, its new key is revoked.
    #[oai(status = 200)]
    Canceled(Json<EndedRotation>),
}

/// The errors of this operation.
pub const ERRORS: &[DocumentedError] = &[
    DocumentedError::NO_SESSION,
    DocumentedError::CROSS_SITE,
    DocumentedError::new(
        ErrorCode::Conflict,
        "The previous key has ended, so there is no way back to it. Nothing was changed.",
        messages::ROTATION_OVER,
    ),
    DocumentedError::UNAVAILABLE,
];

#[OpenApi]
impl CancelRotation {
    /// Go back to the previous API key
    ///
    /// The new key of the rotation stops working immediately and forever. The previous key is
    /// the account's key again, without an end. If the rotation was canceled before, or there
    /// was none, the response is the same. Once the previous key has ended, the response is
    /// 409.
    #[oai(
        path = "/api/v1/partners/api-key/rotation",
        method = "delete",
        operation_id = "cancelPartnerApiKeyRotation",
        tag = "Tag::ApiKey"
    )]
    async fn cancel(&self, caller: SignedIn, Data(app): Data<&App>) -> Result<Response, ApiError> {
        let SignedIn { account, origin } = caller;
        let now = app.clock.now();
        match app.store.cancel_rotation(&account, now, &origin).await? {
            Canceled::Canceled { revoked, job } => {
                if let Some(revoked) = &revoked {
                    app.has_revoked(revoked, &origin.because("the rotation was canceled"));
                }
                app.limits.has_revoked(&account);
                // As at a creation, the row is the job.
                if let Some(job) = job {
                    app.nudge.send(job);
                }
            }
            Canceled::Nothing => {}
            Canceled::Over => {
                return Err(ApiError::new(ErrorCode::Conflict, messages::ROTATION_OVER));
            }
        }
        Ok(Response::Canceled(Json(EndedRotation::new())))
    }
}
