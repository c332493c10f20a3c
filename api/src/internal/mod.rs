//! The listener for the platform's other services, at `INTERNAL_ADDR`: they ask whether
//! a partner's key is valid, and whose it is.
//!
//! Every check looks the key up. There is no cache, so a revocation is immediate here too.
//! Nothing is limited by caller: the callers are our own services, of which each speaks
//! for many partners.

mod caller;
mod direct_json;
mod forward_auth;
mod introspect;

use std::sync::Arc;

use poem::{Endpoint, EndpointExt, Route, get};

use crate::App;
use crate::error::{DocumentedError, ErrorCode, messages};
use crate::http::{self, BodyRule, Logged};
use crate::openapi;

pub use caller::{InternalCaller, InternalTokens};
pub use forward_auth::ForwardAuth;
pub use introspect::Introspect;

/// The errors that each operation may return, by operation id.
pub const ERRORS_BY_OPERATION: [(&str, &[DocumentedError]); 3] = [
    ("introspectPartnerApiKey", introspect::ERRORS),
    ("introspectPartnerApiKeys", introspect::ERRORS),
    ("forwardAuth", forward_auth::ERRORS),
];

/// The errors that every operation of this listener may return.
pub const COMMON_ERRORS: [DocumentedError; 3] = [
    DocumentedError::new(
        ErrorCode::BadRequest,
        "The request is malformed, or its body ended early.",
        messages::BROKEN_BODY,
    ),
    DocumentedError::new(
        ErrorCode::PayloadTooLarge,
        "The request body is larger than 16 KiB.",
        messages::LARGE_KEPT_BODY,
    ),
    DocumentedError::new(
        ErrorCode::Internal,
        "The service failed unexpectedly.",
        messages::INTERNAL,
    ),
];

/// Returns the HTTP interface of the internal listener.
pub fn endpoint(app: App, tokens: InternalTokens) -> impl Endpoint + 'static {
    let service = openapi::internal_service();
    let routes = Route::new()
        .at(forward_auth::PATH, forward_auth::endpoint())
        .at(forward_auth::ANY_PATH, forward_auth::endpoint())
        .at("/openapi.json", get(service.json()))
        .at("/openapi.yaml", get(service.yaml()));
    let routes = service.operations.add_to(routes).data(tokens).data(app);
    let bodies = BodyRule::Kept {
        ignored_below: forward_auth::PATH,
    };
    let logged = Logged::AllButSuccesses;
    http::wrap(routes, &service.document, Arc::new([]), bodies, logged)
}
