use std::time::Duration;

use shared::store::StoreError;

use super::{EarlierKey, ErrorCode, messages};

/// The time that clients should wait before they try again while the database
/// is unavailable.
const UNAVAILABLE_RETRY_AFTER: Duration = Duration::from_secs(5);

/// An error for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// The kind of error, for programs. It determines the status.
    pub code: ErrorCode,
    /// The message for people. It must not contain a secret or an internal cause.
    pub message: String,
    /// The time after which trying again may help; `None` if it does not help.
    pub retry_after: Option<Duration>,
    /// The key that the same request has created before.
    pub created: Option<Box<EarlierKey>>,
}

impl ApiError {
    /// Creates an error for which trying again does not help.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            code,
            message,
            retry_after: None,
            created: None,
        }
    }

    /// Tells the client to try again after this time.
    #[must_use]
    pub fn retry_after(self, after: Duration) -> Self {
        Self {
            retry_after: Some(after),
            ..self
        }
    }

    /// Creates the 401 for a request without a valid session.
    pub fn no_session() -> Self {
        Self::new(ErrorCode::Unauthorized, messages::NO_SESSION)
    }

    /// Creates the 401 for a request without an active partner key.
    pub fn no_partner_key() -> Self {
        Self::new(ErrorCode::Unauthorized, messages::NO_PARTNER_KEY)
    }

    /// Creates the 409 for a request that has created this key before.
    pub fn already_created(key: EarlierKey) -> Self {
        let message = messages::already_created(&key);
        Self {
            created: Some(Box::new(key)),
            ..Self::new(ErrorCode::Conflict, message)
        }
    }

    /// Creates the 500. Its cause must be logged: the client gets the request id
    /// alone.
    pub fn internal() -> Self {
        Self::new(ErrorCode::Internal, messages::INTERNAL)
    }
}

/// Converts a database error to 503 if trying again may help, otherwise to 500.
impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the database failed");
        if error.is_transient() {
            Self::new(ErrorCode::Unavailable, messages::UNAVAILABLE)
                .retry_after(UNAVAILABLE_RETRY_AFTER)
        } else {
            Self::internal()
        }
    }
}
