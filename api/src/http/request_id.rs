//! The id of a request. It is in its log lines, in the `X-Request-Id` header of
//! its response and in the body of an error, so that they can be matched.

use std::sync::Arc;

use poem::http::HeaderMap;
use poem::http::header::{HeaderName, HeaderValue};
use poem::{Endpoint, Request, Response};
use tracing::Instrument;
use uuid::Uuid;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

tokio::task_local! {
    static CURRENT: Uuid;
}

/// Returns the id of the request that the current task serves, or the nil UUID
/// if it serves none.
///
/// The id is kept with the task because poem makes the response of an error, or
/// of a panic, without the request.
pub fn current() -> Uuid {
    CURRENT.try_with(|id| *id).unwrap_or_default()
}

/// Gives the request its id: the proxy's, or else a new one.
pub async fn assign<E: Endpoint>(next: Arc<E>, request: Request) -> poem::Result<Response> {
    let id = given_by_proxy(request.headers()).unwrap_or_else(Uuid::new_v4);
    let span = tracing::info_span!("request", request_id = %id);
    let answered = CURRENT.scope(id, next.get_response(request));
    let mut response = answered.instrument(span).await;
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    Ok(response)
}

/// Returns the id that a proxy gave the request, if it is a UUID. Any other
/// value could be a secret or a forged log line, so it is not used.
fn given_by_proxy(headers: &HeaderMap) -> Option<Uuid> {
    let id = headers.get(X_REQUEST_ID)?.to_str().ok()?;
    Uuid::try_parse(id).ok()
}
