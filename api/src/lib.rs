//! The api: four operations on a partner's key.
//!
//! [`server`] accepts a request, [`http`] handles what all requests have in
//! common (id, body, errors, access log), [`app`] routes it, and one file of
//! [`routes`] answers it.

#![cfg_attr(test, recursion_limit = "256")]

mod app;
pub mod auth;
mod csrf;
mod dashboard;
pub mod error;
mod health;
mod http;
pub mod openapi;
pub mod routes;
mod server;

pub use app::App;
pub use server::{Bound, bind};
