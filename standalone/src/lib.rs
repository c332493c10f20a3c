//! Everything in one process, so that a newcomer sees it work with one command;
//! and the Svix simulator, which the tests use too.

pub mod svix_simulator;
