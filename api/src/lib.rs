//! The api: the operations on a partner's key.
//!
//! [`shared::server`] accepts a request, [`http`] handles what all requests have in
//! common (id, body, errors, access log), [`app`] routes it, and one file of
//! [`routes`] answers it.

mod app;
pub mod auth;
mod csrf;
mod dashboard;
pub mod error;
#[cfg(test)]
mod fuzz;
pub mod health;
mod http;
pub mod internal;
mod leaks;
mod limits;
mod lookups;
pub mod openapi;
mod portal;
mod published_keys;
pub mod routes;
mod serve;
mod uses;

pub use app::App;
pub use http::{ClientAddress, Routes};
pub use leaks::github::github_keys;
pub use serve::{Servers, serve};
