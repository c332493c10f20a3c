//! Helpers that the test suites share: private servers, the processes under test,
//! a client that checks every response against the OpenAPI document, and functions
//! that wait for conditions.
//!
//! PostgreSQL, Redis and the binaries under test are real. Svix and the identity
//! provider are simulated. A test fails if a server it needs is missing, so run
//! the tests with `make test`.
#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a panic fails the test"
)]

pub mod backlog;
pub mod browser;
pub mod certificates;
pub mod client;
pub mod collector;
pub mod deployment;
pub mod generated_client;
pub mod github;
pub mod http;
pub mod identity_provider;
pub mod load;
pub mod metrics;
pub mod pgbouncer;
pub mod postgres;
pub mod private_postgres;
pub mod process;
pub mod redis_cluster;
pub mod redis_sentinels;
pub mod redis_server;
pub mod relay;
pub mod repository;
pub mod rerun;
pub mod rows;
pub mod signing_key;
pub mod stores;
pub mod tool;
pub mod wait;
pub mod wire;

pub use certificates::PrivateCa;
pub use client::{Answer, Client};
pub use collector::Collector;
pub use deployment::{Deployment, Kind, Plan};
pub use generated_client::{Credential, GeneratedClient};
pub use identity_provider::{IdentityProvider, Mood};
pub use load::Load;
pub use metrics::Metrics;
pub use pgbouncer::PgBouncer;
pub use postgres::{Role, TestDatabase};
pub use private_postgres::PrivatePostgres;
pub use process::Process;
pub use redis_server::RedisServer;
pub use relay::{Passing, Relay};
pub use rerun::rerun;
pub use signing_key::SigningKey;
pub use wait::eventually;
pub use wire::Wire;

use std::io::Write;

use tokio::sync::{Semaphore, SemaphorePermit};

/// Waits until no other heavy case runs. A case is heavy if it uses all processors for
/// many seconds: two of them at once would starve the cases that wait beside them.
pub async fn heavy() -> SemaphorePermit<'static> {
    static HEAVY: Semaphore = Semaphore::const_new(1);
    HEAVY.acquire().await.unwrap()
}

/// Writes a measured figure to standard error, also if the test passes: the test harness
/// keeps back only what the print macros write.
pub fn report(figure: &str) {
    let line = format!("measured: {figure}\n");
    std::io::stderr().lock().write_all(line.as_bytes()).unwrap();
}

/// Creates a temporary directory, which is removed when the value is dropped.
pub fn scratch() -> tempfile::TempDir {
    let parent = variable("TEST_TMPDIR");
    tempfile::Builder::new()
        .prefix("test-")
        .tempdir_in(parent)
        .unwrap()
}

/// Returns an environment variable that `scripts/with-services` sets.
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set; run the tests with `make test`"))
}
