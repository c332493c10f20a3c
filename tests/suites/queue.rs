//! The faults of apalis-redis that docs/decisions/0002 lists by row, and that our queue
//! avoids. The tests use a private Redis, the real store and the Svix simulator, and run
//! the worker's loop in this process.

mod delivery;
mod depth;
mod malformed_jobs;
mod memory;
mod names;
pub mod queue_test;
mod sharing;
