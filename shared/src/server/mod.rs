//! The HTTP server of every listener: accepts connections, serves an endpoint on
//! them, and stops without losing a request.
//!
//! poem's own server sets none of hyper's time limits and does not limit the number
//! of connections, so a few idle clients could take all memory or all descriptors.
//! It also answers HTTP/2, of which one connection can ask for any number of answers
//! at once. This server speaks HTTP/1.1 alone, as proxies do by default.

mod connection;
mod connections;
mod listener;
mod progress;

pub use connection::close_after;
pub use listener::{BindError, Bound, Listener, bind};

/// The number of descriptors that are not for connections of clients: the database,
/// Redis, Svix, files and the listening sockets.
pub const RESERVED_DESCRIPTORS: usize = 256;
