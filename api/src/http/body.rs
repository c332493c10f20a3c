//! Request bodies. None of the public operations needs one, but clients may send one, an
//! empty object for instance.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use poem::error::{ReadBodyError, ResponseError};
use poem::http::HeaderMap;
use poem::http::header::{self, HeaderValue};
use poem::{Endpoint, Request, Response};

use crate::error::{ApiError, ErrorCode, messages};

/// The size of the largest request body that is accepted, in bytes.
const MAX_BODY: usize = 16 * 1024;

/// The time to wait for the body. Then the request goes on without it.
const BODY_DEADLINE: Duration = Duration::from_secs(2);

/// The way in which a listener treats request bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyRule {
    /// No operation needs a body, so it is read and discarded. If it is late, the request
    /// goes on without it.
    Discarded,
    /// Operations read the body, except those below this path, which ignore it: proxies
    /// ask there about requests whose bodies they keep back.
    Kept {
        /// The path.
        ignored_below: &'static str,
    },
}

/// The reason why a body was not read to its end.
#[derive(Debug, PartialEq, Eq)]
enum Unread {
    /// It is larger than [`MAX_BODY`].
    TooLarge,
    /// It did not arrive completely within [`BODY_DEADLINE`].
    Late,
    /// It is malformed, or the connection ended.
    Broken,
}

/// Reads the body, so that it can be kept or discarded.
///
/// The server closes a connection whose request body was not read to its end,
/// and the client's next request on it would fail. If the body cannot be read to
/// its end, the response therefore says `Connection: close`.
pub async fn read<E: Endpoint>(
    rule: BodyRule,
    next: Arc<E>,
    mut request: Request,
) -> poem::Result<Response> {
    let keeps = match rule {
        BodyRule::Discarded => false,
        BodyRule::Kept { ignored_below } if request.uri().path().starts_with(ignored_below) => {
            return Ok(next.get_response(request).await);
        }
        BodyRule::Kept { .. } => true,
    };
    let unread = match bytes(&mut request).await {
        Ok(bytes) => {
            if keeps {
                request.set_body(bytes);
            }
            return Ok(next.get_response(request).await);
        }
        Err(unread) => unread,
    };
    let mut response = match (unread, rule) {
        (Unread::Late, BodyRule::Discarded) => next.get_response(request).await,
        (Unread::TooLarge, rule) => {
            let message = match rule {
                BodyRule::Discarded => messages::LARGE_BODY,
                BodyRule::Kept { .. } => messages::LARGE_KEPT_BODY,
            };
            ApiError::new(ErrorCode::PayloadTooLarge, message).as_response()
        }
        // The body was truncated, so do not run the operation.
        (Unread::Broken | Unread::Late, _) => {
            ApiError::new(ErrorCode::BadRequest, messages::BROKEN_BODY).as_response()
        }
    };
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    Ok(response)
}

async fn bytes(request: &mut Request) -> Result<Bytes, Unread> {
    // A client that waits for `100 Continue` has not sent the body: refuse it now.
    if content_length(request.headers()) > MAX_BODY {
        return Err(Unread::TooLarge);
    }
    let reading = request.take_body().into_bytes_limit(MAX_BODY);
    match tokio::time::timeout(BODY_DEADLINE, reading).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(ReadBodyError::PayloadTooLarge)) => Err(Unread::TooLarge),
        Ok(Err(_)) => Err(Unread::Broken),
        Err(_elapsed) => Err(Unread::Late),
    }
}

/// Returns the announced size of the body; 0 if there is none.
fn content_length(headers: &HeaderMap) -> usize {
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
}
