//! Servers and processes that fail under load.

mod postgres;
mod redis;
mod worker;
