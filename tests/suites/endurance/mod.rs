//! Long runs: many rows, many jobs, and a long time without work.

mod idle_pickup;
mod soak;
