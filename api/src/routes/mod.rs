//! The operations. Each is one file, to be read from top to bottom.

mod cancel_rotation;
mod create_key;
mod finish_rotation;
mod open_portal;
mod revoke_key;
mod show_key;
mod start_rotation;
mod types;

pub use cancel_rotation::CancelRotation;
pub use create_key::CreateKey;
pub use finish_rotation::FinishRotation;
pub use open_portal::OpenPortal;
pub use revoke_key::RevokeKey;
pub use show_key::ShowKey;
pub use start_rotation::StartRotation;

use poem_openapi::Tags;

use crate::error::DocumentedError;

/// The groups of operations in the document.
#[derive(Tags)]
pub enum Tag {
    /// The API key of the signed-in account.
    #[oai(rename = "API key")]
    ApiKey,
    /// The account's webhooks at Svix.
    Webhooks,
}

/// The errors that each operation may return, by operation id. The errors that
/// all operations may return are not among them.
pub const ERRORS_BY_OPERATION: [(&str, &[DocumentedError]); 7] = [
    ("createPartnerApiKey", create_key::ERRORS),
    ("getPartnerApiKey", show_key::ERRORS),
    ("deletePartnerApiKey", revoke_key::ERRORS),
    ("startPartnerApiKeyRotation", start_rotation::ERRORS),
    ("finishPartnerApiKeyRotation", finish_rotation::ERRORS),
    ("cancelPartnerApiKeyRotation", cancel_rotation::ERRORS),
    ("getPartnerPortal", open_portal::ERRORS),
];

/// The paths at which an operation reads the request body.
pub const WITH_BODY: &[&str] = &[start_rotation::PATH];
