//! Who is calling. Each way in is a parameter of the handler, so that its
//! signature says who may call it.

mod bearer;
mod partner_key;
mod session;

pub use partner_key::KeyHolder;
pub use session::SignedIn;
