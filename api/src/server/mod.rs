//! The HTTP server: listens, serves, and stops without losing a request.

mod acceptor;
mod serve;

pub use serve::{Bound, bind};
