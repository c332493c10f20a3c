//! What the suites share: private servers, the processes under test, a client
//! that holds every answer against the document, and waiting for conditions.
//!
//! Nothing here is a stand-in but Svix: PostgreSQL, Redis and the binaries are
//! the real ones. A service that is missing fails the test; see `make test`.
#![allow(clippy::missing_panics_doc)] // a helper's panic is a failed test
#![allow(clippy::unwrap_used)]

pub mod client;
pub mod deployment;
pub mod postgres;
pub mod process;
pub mod redis_server;
pub mod wait;

pub use client::{Answer, Client};
pub use deployment::{Deployment, Kind};
pub use postgres::TestDatabase;
pub use process::Process;
pub use redis_server::RedisServer;
pub use wait::eventually;

/// A directory of a test's own, removed with it.
pub fn scratch() -> tempfile::TempDir {
    let parent = variable("TEST_TMPDIR");
    tempfile::Builder::new()
        .prefix("test-")
        .tempdir_in(parent)
        .unwrap()
}

/// A variable that `scripts/with-services` sets.
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `make test`"))
}
