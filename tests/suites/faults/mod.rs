//! Servers and processes that fail under load.

mod cancelled;
mod commit;
mod locks;
pub(crate) mod postgres;
mod redis;
mod worker;
