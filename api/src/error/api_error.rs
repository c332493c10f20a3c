use std::time::Duration;

use poem::Response;
use poem::error::{MethodNotAllowedError, NotFoundError, ResponseError};
use poem::http::{StatusCode, header};
use poem_openapi::types::ToJSON;
use shared::store::StoreError;

use super::{ErrorBody, ErrorCode, ErrorDetail, messages};

/// How long clients should wait before they try again while the database is
/// unavailable.
const UNAVAILABLE_RETRY_AFTER: Duration = Duration::from_secs(5);

/// An error on its way to the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// For programs.
    pub code: ErrorCode,
    /// For people. Never holds a secret or a cause from inside.
    pub message: String,
    /// When trying again may help.
    pub retry_after: Option<Duration>,
}

impl ApiError {
    /// An error that trying again does not help.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            code,
            message,
            retry_after: None,
        }
    }

    /// An error that may pass after a while.
    #[must_use]
    pub fn retry_after(self, after: Duration) -> Self {
        Self {
            retry_after: Some(after),
            ..self
        }
    }

    /// No valid session.
    pub fn no_session() -> Self {
        Self::new(ErrorCode::Unauthorized, messages::NO_SESSION)
    }

    /// No valid partner key.
    pub fn no_partner_key() -> Self {
        Self::new(ErrorCode::Unauthorized, messages::NO_PARTNER_KEY)
    }

    /// A defect. The cause is in the log, under the request id.
    pub fn internal() -> Self {
        Self::new(ErrorCode::Internal, messages::INTERNAL)
    }

    /// The response, in the one shape.
    pub fn into_response(self, request_id: &str) -> Response {
        let body = ErrorBody {
            error: ErrorDetail {
                code: self.code,
                message: self.message,
                request_id: request_id.to_owned(),
            },
        };
        let mut response = Response::builder()
            .status(self.code.status())
            .content_type("application/json; charset=utf-8");
        if self.code == ErrorCode::Unauthorized {
            response = response.header(header::WWW_AUTHENTICATE, "Bearer");
        }
        if let Some(after) = self.retry_after {
            // Whole seconds, rounded up: never an invitation to come too early.
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            response = response.header(header::RETRY_AFTER, seconds.to_string());
        }
        response.body(body.to_json_string())
    }
}

impl ResponseError for ApiError {
    fn status(&self) -> StatusCode {
        self.code.status()
    }
}

/// The database failed: 503 where trying again may help. Which, the log says.
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

/// Any error of the framework, and our own where they passed through it.
impl From<poem::Error> for ApiError {
    fn from(error: poem::Error) -> Self {
        if let Some(own) = error.downcast_ref::<Self>() {
            return own.clone();
        }
        let message = if error.is::<NotFoundError>() {
            "There is nothing at this address.".into()
        } else if error.is::<MethodNotAllowedError>() {
            "This address does not take this method; the Allow header names those it takes.".into()
        } else if error.status().is_client_error() {
            error.to_string()
        } else {
            tracing::error!(%error, "the framework failed");
            return Self::internal();
        };
        Self::new(ErrorCode::of_status(error.status()), message)
    }
}
