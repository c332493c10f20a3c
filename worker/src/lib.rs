//! The worker: sets up each account's webhooks at Svix, and ends the portal sessions of
//! revoked keys.
//!
//! A [`Worker`] owns two loops. The [`sweep`] sends due rows to the queue as jobs.
//! The [`queue_loop`] takes jobs from the queue and runs [`job`] for each, whose file
//! shows the path of a job from top to bottom.

mod backlog;
mod end_portal_sessions;
pub mod health;
pub mod job;
pub mod liveness;
mod provision_webhook;
pub mod queue_loop;
pub mod sweep;
mod worker;

pub use backlog::Backlog;
pub use worker::{Worker, WorkerError};
