//! Request bodies. No operation needs one, but clients may send one, an empty
//! object for instance.

use std::sync::Arc;
use std::time::Duration;

use poem::error::{ReadBodyError, ResponseError};
use poem::http::HeaderMap;
use poem::http::header::{self, HeaderValue};
use poem::{Endpoint, Request, Response};

use crate::error::{ApiError, ErrorCode, messages};

/// The size of the largest request body that is accepted, in bytes.
const MAX_BODY: usize = 16 * 1024;

/// The time to wait for the body. Then the request goes on without it.
const BODY_DEADLINE: Duration = Duration::from_secs(2);

/// The result of reading a body.
#[derive(Debug, PartialEq, Eq)]
enum Body {
    /// It was read to its end.
    Read,
    /// It is larger than [`MAX_BODY`].
    TooLarge,
    /// It did not arrive completely within [`BODY_DEADLINE`].
    Late,
    /// It is malformed, or the connection ended.
    Broken,
}

/// Reads the body and discards it.
///
/// The server closes a connection whose request body was not read to its end,
/// and the client's next request on it would fail. If the body cannot be read to
/// its end, the response therefore says `Connection: close`.
pub async fn discard<E: Endpoint>(next: Arc<E>, mut request: Request) -> poem::Result<Response> {
    let body = read(&mut request).await;
    let mut response = match body {
        Body::Read | Body::Late => next.get_response(request).await,
        Body::TooLarge => {
            ApiError::new(ErrorCode::PayloadTooLarge, messages::LARGE_BODY).as_response()
        }
        // The body was truncated, so do not run the operation.
        Body::Broken => ApiError::new(ErrorCode::BadRequest, messages::BROKEN_BODY).as_response(),
    };
    if body != Body::Read {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    Ok(response)
}

async fn read(request: &mut Request) -> Body {
    // A client that waits for `100 Continue` has not sent the body: refuse it now.
    if content_length(request.headers()) > MAX_BODY {
        return Body::TooLarge;
    }
    let reading = request.take_body().into_bytes_limit(MAX_BODY);
    match tokio::time::timeout(BODY_DEADLINE, reading).await {
        Ok(Ok(_)) => Body::Read,
        Ok(Err(ReadBodyError::PayloadTooLarge)) => Body::TooLarge,
        Ok(Err(_)) => Body::Broken,
        Err(_elapsed) => Body::Late,
    }
}

/// Returns the announced size of the body; 0 if there is none.
fn content_length(headers: &HeaderMap) -> usize {
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
}
