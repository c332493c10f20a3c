//! The test suites that need servers, processes or a browser. Each suite is a module.
//! All are in one binary, so that it is linked once and the tests run in parallel.
#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

mod attacks;
mod claim_model;
mod clients;
mod clocks;
mod concurrency;
mod contract;
mod costs;
mod credentials;
mod dashboard;
mod dead_letters;
mod deploy;
mod doctor;
mod document;
mod embedded;
mod endurance;
mod failover;
mod faults;
mod jwt_sessions;
mod key_checks;
mod leaks;
mod lifecycle;
mod metrics;
mod monitoring;
mod openapi;
mod pooler;
mod postgres_versions;
mod queue;
mod redis_modes;
mod release;
mod released;
mod retry;
mod rotation;
mod secrets;
mod settings;
mod shutdown;
mod store_conformance;
mod svix_outcomes;
mod timestamps;
mod tls;
mod tracing;
mod upgrades;
