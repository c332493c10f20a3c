use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, OpenApi};

use super::Tag;
use super::types::EndedRotation;
use crate::App;
use crate::auth::SignedIn;
use crate::error::{ApiError, DocumentedError};

/// The operation `POST /api/v1/partners/api-key/rotation/finish`.
pub struct FinishRotation;

#[derive(ApiResponse)]
enum Finished {
    /// The account now has at most one key that works.
    #[oai(status = 200)]
    Finished(Json<EndedRotation>),
}

/// The errors of this operation.
pub const ERRORS: &[DocumentedError] = &[
    DocumentedError::NO_SESSION,
    DocumentedError::CROSS_SITE,
    DocumentedError::UNAVAILABLE,
];

#[OpenApi]
impl FinishRotation {
    /// End the previous API key now
    ///
    /// The key that a rotation has replaced stops working immediately and forever. If no
    /// rotation is under way, the response is the same.
    #[oai(
        path = "/api/v1/partners/api-key/rotation/finish",
        method = "post",
        operation_id = "finishPartnerApiKeyRotation",
        tag = "Tag::ApiKey"
    )]
    async fn finish(&self, caller: SignedIn, Data(app): Data<&App>) -> Result<Finished, ApiError> {
        let SignedIn { account, origin } = caller;
        let now = app.clock.now();
        if let Some(ended) = app.store.finish_rotation(&account, now, &origin).await? {
            app.has_revoked(&ended, &origin.because("the rotation was finished"));
        }
        Ok(Finished::Finished(Json(EndedRotation::new())))
    }
}
