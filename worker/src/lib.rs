//! The worker: sets up each account's webhooks at Svix.
//!
//! A [`Worker`] owns two loops. The [`sweep`] sends due rows to the queue as jobs.
//! The [`queue_loop`] takes jobs from the queue and runs [`provision_webhook`] for
//! each, whose file shows the path of a job from top to bottom.

pub mod health;
pub mod liveness;
pub mod provision_webhook;
pub mod queue_loop;
pub mod sweep;
mod worker;

pub use worker::{Worker, WorkerError};
