//! The api: four operations on a partner's key, and what serving them takes.
//!
//! A request passes [`envelope`] (request id, error shape, access log), is
//! routed by [`app`] and ends in one file of [`routes`].

mod acceptor;
mod app;
pub mod auth;
mod csrf;
mod dashboard;
mod envelope;
pub mod error;
mod health;
pub mod openapi;
pub mod routes;
mod serve;

pub use app::App;
pub use serve::{Bound, bind};
