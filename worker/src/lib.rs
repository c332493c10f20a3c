//! The worker: takes jobs from the queue and sets up each account's webhooks.
//!
//! [`runner`] feeds jobs to [`provision_webhook`]; [`sweep`] sends the queue
//! whatever is due. The path of a job is in `provision_webhook.rs`, top to bottom.

pub mod health;
pub mod liveness;
pub mod provision_webhook;
pub mod runner;
pub mod sweep;
mod tick;
