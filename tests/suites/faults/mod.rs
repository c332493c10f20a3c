//! Servers and processes that fail under load.

mod locks;
mod postgres;
mod redis;
mod worker;
