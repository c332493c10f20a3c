//! The operations. Each is one file, to be read from top to bottom.

mod cancel_rotation;
mod create_key;
mod finish_rotation;
mod open_portal;
mod report_leaked_keys;
mod revoke_key;
mod show_key;
mod start_rotation;
mod types;

pub use cancel_rotation::CancelRotation;
pub use create_key::CreateKey;
pub use finish_rotation::FinishRotation;
pub use open_portal::OpenPortal;
pub use report_leaked_keys::ReportLeakedKeys;
pub use revoke_key::RevokeKey;
pub use show_key::ShowKey;
pub use start_rotation::StartRotation;

use poem_openapi::Tags;

use crate::error::DocumentedError;
use crate::http::KeptBody;
use crate::leaks::github;

/// The groups of operations in the document.
#[derive(Tags)]
pub enum Tag {
    /// The API key of the signed-in account.
    #[oai(rename = "API key")]
    ApiKey,
    /// The account's webhooks at Svix.
    Webhooks,
    /// Keys that somebody has found in a public place.
    #[oai(rename = "Leaked keys")]
    LeakedKeys,
}

/// The errors that each operation may return, by operation id. The errors that
/// all operations may return are not among them.
pub const ERRORS_BY_OPERATION: [(&str, &[DocumentedError]); 8] = [
    ("createPartnerApiKey", create_key::ERRORS),
    ("getPartnerApiKey", show_key::ERRORS),
    ("deletePartnerApiKey", revoke_key::ERRORS),
    ("startPartnerApiKeyRotation", start_rotation::ERRORS),
    ("finishPartnerApiKeyRotation", finish_rotation::ERRORS),
    ("cancelPartnerApiKeyRotation", cancel_rotation::ERRORS),
    ("getPartnerPortal", open_portal::ERRORS),
    ("reportLeakedPartnerApiKeys", report_leaked_keys::ERRORS),
];

/// The paths at which an operation reads the request body.
pub const WITH_BODY: &[KeptBody] = &[ROTATION, REPORT];

/// The same while GitHub may report leaked keys.
pub const WITH_BODY_AND_GITHUB: &[KeptBody] = &[ROTATION, REPORT, github::BODY];

const ROTATION: KeptBody = KeptBody::at(start_rotation::PATH);
const REPORT: KeptBody = KeptBody::at(report_leaked_keys::PATH);
