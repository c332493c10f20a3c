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

use poem::http::Method;
use poem::{Endpoint, Request, Response};

use crate::App;
use crate::error::{DocumentedError, ErrorCode, messages};
use crate::http::{BodyRule, EveryRequest, Logged};
use crate::openapi;

pub use caller::{InternalCaller, InternalTokens};
pub use forward_auth::ForwardAuth;
pub use introspect::{Introspect, IntrospectMany};

/// The errors that each operation may return, by operation id.
pub const ERRORS_BY_OPERATION: [(&str, &[DocumentedError]); 3] = [
    ("introspectPartnerApiKey", introspect::ERRORS),
    ("introspectPartnerApiKeys", introspect::ERRORS),
    ("forwardAuth", forward_auth::ERRORS),
];

/// The errors that every operation of this listener may return.
pub const COMMON_ERRORS: [DocumentedError; 1] = [DocumentedError::new(
    ErrorCode::Internal,
    "The service failed unexpectedly.",
    messages::INTERNAL,
)];

/// Returns the HTTP interface of the internal listener.
pub fn endpoint(app: App, tokens: InternalTokens) -> impl Endpoint<Output = Response> + 'static {
    let service = openapi::internal_service();
    let check = introspect::Check { app: app.clone() };
    let forward_auth = forward_auth::Check { app: app.clone() };
    let routes = service.routes;
    EveryRequest {
        routes: routes
            .and_at(introspect::PATH, Method::POST, check)
            .and_below(forward_auth::PATH, forward_auth),
        prepare: move |request: &mut Request| {
            request.set_data(app.clone());
            request.set_data(tokens.clone());
        },
        trusted_proxies: Arc::new([]),
        bodies: BodyRule::Kept {
            ignored_below: forward_auth::PATH,
        },
        logged: Logged::AllButSuccesses,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoints_made_by_hand_are_where_the_document_says() {
        let paths = &openapi::internal_service().document["paths"];
        assert!(paths[introspect::PATH]["post"].is_object());
        assert!(paths[forward_auth::PATH]["get"].is_object());
    }
}
