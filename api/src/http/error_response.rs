//! The response of an error. This is the only place that makes one, so all
//! errors have the same JSON shape.
//!
//! An [`ApiError`] reaches it in a [`poem::Error`], into which `?` converts it.

use poem::error::{MethodNotAllowedError, NotFoundError, ResponseError};
use poem::http::{StatusCode, header};
use poem::{PathPattern, Response};
use poem_openapi::error::{ContentTypeError, ParseRequestPayloadError};
use poem_openapi::types::ToJSON;

use super::request_id;
use super::routes::Allow;
use crate::error::{ApiError, ErrorBody, ErrorCode, ErrorDetail, messages};

impl ResponseError for ApiError {
    fn status(&self) -> StatusCode {
        self.code.status()
    }

    fn as_response(&self) -> Response {
        let body = ErrorBody {
            error: ErrorDetail {
                code: self.code,
                message: self.message.clone(),
                request_id: request_id::current().to_string(),
                created: self.created.as_deref().cloned(),
            },
        };
        let mut response = Response::builder()
            .status(self.status())
            .content_type("application/json; charset=utf-8");
        if self.code == ErrorCode::Unauthorized {
            response = response.header(header::WWW_AUTHENTICATE, "Bearer");
        }
        if let Some(after) = self.retry_after {
            // Whole seconds, rounded up: never tell a client to come too early.
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            response = response.header(header::RETRY_AFTER, seconds.to_string());
        }
        response.body(body.to_json_string())
    }
}

/// Makes the response of any error: ours or the framework's.
pub fn from_error(error: &poem::Error) -> Response {
    let mut response = match error.downcast_ref::<ApiError>() {
        Some(error) => error.as_response(),
        None => describe(error).as_response(),
    };
    if let Some(Allow(methods)) = error.data() {
        let headers = response.headers_mut();
        headers.insert(header::ALLOW, methods.clone());
    }
    // The access log needs the route.
    if let Some(route) = error.data::<PathPattern>() {
        response.set_data(route.clone());
    }
    response
}

/// Returns what the client is told about an error of the framework.
fn describe(error: &poem::Error) -> ApiError {
    let message = if error.is::<NotFoundError>() {
        "There is nothing at this address.".to_owned()
    } else if error.is::<MethodNotAllowedError>() {
        "This address does not support this method. The Allow header lists the methods that it \
         supports."
            .to_owned()
    } else if error.is::<ParseRequestPayloadError>() {
        // Its text is for programmers, and repeats what was sent.
        messages::UNEXPECTED_BODY.to_owned()
    } else if error.is::<ContentTypeError>() {
        messages::UNSUPPORTED.to_owned()
    } else if error.status().is_client_error() {
        error.to_string()
    } else {
        tracing::error!(%error, "the framework failed");
        return ApiError::internal();
    };
    ApiError::new(ErrorCode::from_status(error.status()), message)
}
