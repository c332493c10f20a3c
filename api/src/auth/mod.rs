//! Who is calling. Each way in is a parameter of the handler, so that its
//! signature says who may call it.

mod bearer;
pub mod jwt;
mod partner_key;
mod session;
mod sessions;

pub use partner_key::KeyHolder;
pub use session::SignedIn;
pub use sessions::Sessions;
