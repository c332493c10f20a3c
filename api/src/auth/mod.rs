//! Authentication. A handler takes the caller as a parameter, [`SignedIn`],
//! [`SignedInWithKeys`] or [`KeyHolder`], so its signature says who may call it.

mod bearer;
mod caller;
pub mod jwt;
mod partner_key;
mod session;
mod sessions;

use poem::http::HeaderMap;
use poem_openapi::registry::{MetaSecurityScheme, Registry};

pub use caller::origin;
pub use partner_key::{KeyHolder, presented_key};
pub use session::{SignedIn, SignedInWithKeys};
pub use sessions::{Session, Sessions};

/// Returns the Bearer token of a request, if there is one and its header is well-formed.
pub fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    bearer::token(headers).ok().flatten()
}

/// The name of the security scheme of partner keys in the documents.
pub const PARTNER_KEY_SCHEME: &str = "PartnerKey";

/// Adds the security scheme of partner keys to a document.
pub fn register_partner_key(registry: &mut Registry) {
    let description = "A partner API key, `pk_live_…`, as a Bearer token.";
    let format = "pk_live_ and 64 lowercase hex characters";
    register_bearer(registry, PARTNER_KEY_SCHEME, description, Some(format));
}

/// Adds a security scheme with a Bearer token to a document.
pub fn register_bearer(
    registry: &mut Registry,
    name: &'static str,
    description: &'static str,
    format: Option<&'static str>,
) {
    let scheme = MetaSecurityScheme {
        ty: "http",
        description: Some(description),
        name: None,
        key_in: None,
        scheme: Some("bearer"),
        bearer_format: format,
        flows: None,
        openid_connect_url: None,
    };
    registry.create_security_scheme(name, scheme);
}

/// Exposes private functions of this module to `crate::fuzz`.
#[cfg(test)]
pub(crate) mod fuzz {
    pub use super::jwt::fuzz::{parse_key_set, session_of_claims};

    /// Returns the value of the cookie.
    pub fn cookie_value<'a>(headers: &'a poem::http::HeaderMap, name: &str) -> Option<&'a str> {
        super::session::cookie_value(headers, name)
    }
}
