//! Authentication. A handler takes the caller as a parameter, [`SignedIn`] or
//! [`KeyHolder`], so its signature says who may call it.

mod bearer;
mod caller;
pub mod jwt;
mod partner_key;
mod session;
mod sessions;

pub use partner_key::KeyHolder;
pub use session::SignedIn;
pub use sessions::{Session, Sessions};

/// What `crate::fuzz` tries, of the private parts of this module.
#[cfg(test)]
pub(crate) mod fuzz {
    pub use super::jwt::fuzz::{parse_key_set, session_of_claims};

    /// Returns the value of the cookie.
    pub fn cookie_value<'a>(headers: &'a poem::http::HeaderMap, name: &str) -> Option<&'a str> {
        super::session::cookie_value(headers, name)
    }

    /// Returns the Bearer token, if there is one and the header is well-formed.
    pub fn bearer_token(headers: &poem::http::HeaderMap) -> Option<&str> {
        super::bearer::token(headers).ok().flatten()
    }
}
