//! The parts that all kinds of authentication share: the caller's address, by which
//! callers are limited, and the origin, which the audit trail records.

use poem::Request;
use poem::http::header;
use shared::store::{Actor, Origin};

use crate::App;
use crate::error::{ApiError, ErrorCode};
use crate::http::{ClientAddress, current_request_id};

/// Runs `authenticate` unless too many requests from the caller's address had invalid
/// credentials. Counts it among them if it finds the credentials invalid.
///
/// A request without `Authorization` and cookies is not counted: nobody guesses with it.
pub async fn limited<T>(
    app: &App,
    request: &Request,
    authenticate: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    let address = ClientAddress::of(request).as_caller();
    app.limits.may_authenticate(address)?;
    let result = authenticate.await;
    let is_refused = matches!(&result, Err(error) if error.code == ErrorCode::Unauthorized);
    if is_refused && has_credentials(request) {
        app.limits.has_failed(address);
    }
    result
}

fn has_credentials(request: &Request) -> bool {
    let headers = request.headers();
    headers.contains_key(header::AUTHORIZATION) || headers.contains_key(header::COOKIE)
}

/// Returns what the audit trail keeps of the caller of this request.
pub fn origin(request: &Request, actor: Actor, session_id: Option<String>) -> Origin {
    let user_agent = request.headers().get(header::USER_AGENT);
    Origin {
        actor,
        reason: None,
        session_id,
        client_address: Some(ClientAddress::of(request).to_string()),
        user_agent: user_agent.map(|value| Origin::user_agent(value.as_bytes())),
        request_id: Some(current_request_id()),
    }
}
