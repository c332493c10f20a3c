//! Authentication. A handler takes the caller as a parameter, [`SignedIn`] or
//! [`KeyHolder`], so its signature says who may call it.

mod bearer;
pub mod jwt;
mod partner_key;
mod session;
mod sessions;

pub use partner_key::KeyHolder;
pub use session::SignedIn;
pub use sessions::Sessions;
