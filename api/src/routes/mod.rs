//! The four operations. Each is one file, to be read from top to bottom.

mod create_key;
mod open_portal;
mod revoke_key;
mod show_key;
mod types;

pub use create_key::CreateKey;
pub use open_portal::OpenPortal;
pub use revoke_key::RevokeKey;
pub use show_key::ShowKey;

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
pub const ERRORS_BY_OPERATION: [(&str, &[DocumentedError]); 4] = [
    ("createPartnerApiKey", create_key::ERRORS),
    ("getPartnerApiKey", show_key::ERRORS),
    ("deletePartnerApiKey", revoke_key::ERRORS),
    ("getPartnerPortal", open_portal::ERRORS),
];
