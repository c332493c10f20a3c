//! The four operations, one file each.

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

use crate::error::{DocumentedError, DocumentedErrors};

/// How the document groups the operations.
#[derive(Tags)]
pub enum Tag {
    /// The API key of the signed-in account.
    #[oai(rename = "API key")]
    ApiKey,
    /// The account's webhooks, at Svix.
    Webhooks,
}

/// How each operation can fail, by its id.
pub const ERRORS_BY_OPERATION: [(&str, &[DocumentedError]); 4] = [
    ("createPartnerApiKey", create_key::CreateErrors::ALL),
    ("getPartnerApiKey", show_key::ShowErrors::ALL),
    ("deletePartnerApiKey", revoke_key::RevokeErrors::ALL),
    ("getPartnerPortal", open_portal::PortalErrors::ALL),
];
