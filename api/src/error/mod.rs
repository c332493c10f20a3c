//! Errors, as clients see them: one shape for all.
//!
//! What a client is told (a code and a sentence) and what the log is told are
//! two things: the cause of a failure is logged where it is turned into an
//! [`ApiError`], and goes no further.

mod api_error;
mod body;
mod documented;
pub mod messages;

pub use api_error::ApiError;
pub use body::{ErrorBody, ErrorCode, ErrorDetail};
pub use documented::{COMMON_ERRORS, DocumentedError, DocumentedErrors, OperationError};
