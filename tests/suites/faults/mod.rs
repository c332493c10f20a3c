//! Servers and processes that fail under load.

mod commit;
mod locks;
pub(crate) mod postgres;
mod redis;
mod worker;
