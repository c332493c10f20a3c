//! Servers and processes that fail under load.

mod locks;
pub(crate) mod postgres;
mod redis;
mod worker;
