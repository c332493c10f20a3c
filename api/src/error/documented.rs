use super::{ErrorCode, messages};

/// An error that the OpenAPI document names for an operation.
#[derive(Debug, Clone, Copy)]
pub struct DocumentedError {
    /// The error's code, which determines its status.
    pub code: ErrorCode,
    /// The response's description: what the error means for this operation.
    pub description: &'static str,
    /// The message of the response's example: one that the service sends.
    pub example_message: &'static str,
}

impl DocumentedError {
    /// Creates an entry with this code, description and example message.
    pub const fn new(
        code: ErrorCode,
        description: &'static str,
        example_message: &'static str,
    ) -> Self {
        Self {
            code,
            description,
            example_message,
        }
    }

    /// The 401 of operations that need a session.
    pub const NO_SESSION: Self = Self::new(
        ErrorCode::Unauthorized,
        "There is no valid session.",
        messages::NO_SESSION,
    );
    /// The 403 of operations that change something and take the session cookie.
    pub const CROSS_SITE: Self = Self::new(
        ErrorCode::Forbidden,
        "The request has the session cookie, but comes neither from this origin nor from an \
         allowed one.",
        messages::CROSS_SITE,
    );
    /// The 503 of operations that need a session.
    pub const UNAVAILABLE: Self = Self::new(
        ErrorCode::Unavailable,
        "The database is unavailable, or the identity provider's keys have not been fetched yet.",
        messages::UNAVAILABLE,
    );
    /// The 429 of the public operations.
    pub const RATE_LIMITED: Self = Self::new(
        ErrorCode::RateLimited,
        "The account, the key or the address has sent too many requests.",
        messages::RATE_LIMITED,
    );
}

/// The errors that every public operation may return, beside
/// [`DocumentedError::RATE_LIMITED`].
pub const COMMON_ERRORS: [DocumentedError; 3] = [
    DocumentedError::new(
        ErrorCode::BadRequest,
        "The request body is malformed or ended early. No body is needed.",
        messages::BROKEN_BODY,
    ),
    DocumentedError::new(
        ErrorCode::PayloadTooLarge,
        "The request body is too large. No body is needed.",
        messages::LARGE_BODY,
    ),
    DocumentedError::new(
        ErrorCode::Internal,
        "The service failed unexpectedly.",
        messages::INTERNAL,
    ),
];
