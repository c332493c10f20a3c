//! Request bodies. Few of the public operations need one, but clients may send one, an
//! empty object for instance.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use poem::Request;
use poem::http::{HeaderMap, header};

use super::routes::is_within;
use crate::error::{ApiError, ErrorCode, messages};

/// The size of the largest request body that most operations accept, in bytes.
const MAX_BODY: usize = 16 * 1024;

/// The time to wait for the body. Then the request goes on without it, or is refused if its
/// operation reads the body.
const BODY_DEADLINE: Duration = Duration::from_secs(2);

/// A path whose operation reads the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptBody {
    path: &'static str,
    max: usize,
}

impl KeptBody {
    /// Keeps a body of the usual size at this path.
    pub const fn at(path: &'static str) -> Self {
        Self::up_to(MAX_BODY, path)
    }

    /// Keeps a body of at most `max` bytes at this path.
    pub const fn up_to(max: usize, path: &'static str) -> Self {
        Self { path, max }
    }
}

/// The way in which a listener treats request bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyRule {
    /// Only the operations at these paths read the body. Elsewhere it is read and discarded;
    /// if it is late there, the request goes on without it.
    KeptAt(&'static [KeptBody]),
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
    /// It is larger than the limit.
    TooLarge,
    /// It did not arrive completely within [`BODY_DEADLINE`].
    Late,
    /// It is malformed, or the connection ended.
    Broken,
}

/// The part of a body that was received, and what is to be done now.
pub enum Received {
    /// All of it: the operation runs.
    Completely,
    /// Not all of it, but no operation needs it: the operation runs, and the connection is
    /// closed after the response.
    InPart,
    /// Not all of it: the operation must not run, and the connection is closed after this
    /// error.
    Refused(ApiError),
}

/// Reads the body, so that it can be kept or discarded.
pub async fn receive(rule: BodyRule, request: &mut Request) -> Received {
    let path = request.uri().path();
    let kept = match rule {
        BodyRule::KeptAt(bodies) => bodies.iter().find(|kept| kept.path == path),
        BodyRule::Kept { ignored_below } if is_within(ignored_below, path) => {
            let body = request.take_body();
            return if body.is_empty() {
                Received::Completely
            } else {
                Received::InPart
            };
        }
        BodyRule::Kept { .. } => Some(&KeptBody::at("")),
    };
    let (keeps, max) = (kept.is_some(), kept.map_or(MAX_BODY, |kept| kept.max));
    match (bytes(request, max).await, keeps) {
        (Ok(bytes), true) => {
            request.set_body(bytes);
            Received::Completely
        }
        (Ok(_), false) => Received::Completely,
        (Err(Unread::Late), false) => Received::InPart,
        (Err(Unread::TooLarge), _) => {
            let message = if keeps {
                messages::large_kept_body(max)
            } else {
                messages::LARGE_BODY.to_owned()
            };
            refused(ErrorCode::PayloadTooLarge, message)
        }
        // The operation needs all of it.
        (Err(Unread::Late), true) => {
            refused(ErrorCode::BadRequest, messages::late_body(BODY_DEADLINE))
        }
        // The body was truncated, so do not run the operation.
        (Err(Unread::Broken), _) => refused(ErrorCode::BadRequest, messages::BROKEN_BODY),
    }
}

fn refused(code: ErrorCode, message: impl Into<String>) -> Received {
    Received::Refused(ApiError::new(code, message))
}

async fn bytes(request: &mut Request, max: usize) -> Result<Bytes, Unread> {
    // A client that waits for `100 Continue` has not sent the body: refuse it now.
    if content_length(request.headers()) > max {
        return Err(Unread::TooLarge);
    }
    let body = request.take_body();
    if body.is_empty() {
        return Ok(Bytes::new());
    }
    // poem's own way fills a buffer of 4 kB with zeros for each body, and copies the body.
    let reading = Limited::new(BoxBody::from(body), max).collect();
    match tokio::time::timeout(BODY_DEADLINE, reading).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Unread::TooLarge),
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
