//! Errors as clients see them: one JSON shape for all of them.
//!
//! A client gets a code and a message. The cause is logged where it becomes an
//! [`ApiError`], and is never sent. The one place that makes the response of an
//! error is `http/error_response.rs`.

mod api_error;
mod body;
mod documented;
pub mod messages;

pub use api_error::ApiError;
pub use body::{EarlierKey, ErrorBody, ErrorCode, ErrorDetail};
pub use documented::{COMMON_ERRORS, DocumentedError};
