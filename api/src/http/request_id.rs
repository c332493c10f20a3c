//! The id of a request. It is in its log lines, in the `X-Request-Id` header of
//! its response and in the body of an error, so that they can be matched.

use poem::http::HeaderMap;
use poem::http::header::{HeaderName, HeaderValue};
use poem::{Request, Response};
use shared::telemetry::{self, Subject};
use uuid::Uuid;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Returns the id of the request that the current task serves, or the nil UUID
/// if it serves none.
///
/// The id is kept with the task because the response of an error, or of a panic, is made after
/// the request is gone.
pub fn current() -> Uuid {
    match telemetry::current() {
        Some(Subject::Request(id)) => id,
        _ => Uuid::nil(),
    }
}

/// Returns the id of the request: the one that came with it, or else a new one.
pub fn of(request: &Request) -> Uuid {
    given(request.headers()).unwrap_or_else(Uuid::new_v4)
}

/// Adds the id to the response.
pub fn add_header(id: Uuid, response: &mut Response) {
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
}

/// Returns the id that a proxy or the client gave the request, if it is a UUID. Any other
/// value could be a secret or a forged log line, so it is not used.
fn given(headers: &HeaderMap) -> Option<Uuid> {
    let id = headers.get(X_REQUEST_ID)?.to_str().ok()?;
    Uuid::try_parse(id).ok()
}
