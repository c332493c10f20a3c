//! `worker doctor`: checks what a worker needs, and says how to mend it.

use std::future::ready;

use clap::Args;
use shared::config::Checker;
use shared::doctor::{Descriptors, Doctor};
use shared::server::{Listener, RESERVED_DESCRIPTORS};

use super::WorkArgs;

/// The flags of `worker doctor`: those of a worker that works.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Prints JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    work: WorkArgs,
}

/// Prints what it finds, and ends the process.
pub async fn doctor(args: &DoctorArgs) -> ! {
    let mut checker = Checker::default();
    let settings = args.work.check(&mut checker);
    let database = settings.database.ok();
    let connections = database.as_ref().map(|it| it.max_connections as usize);
    let needed = settings.concurrency.ok().zip(connections);
    let admin = settings.admin.ok().flatten();
    // Without certificates, no HTTP client can be created.
    let has_certificates = settings.certificates.is_ok();
    let doctor = Doctor {
        program: "worker",
        checker,
        database,
        redis: settings.redis.ok(),
        svix: settings.svix.ok().filter(|_| has_certificates),
        otlp: settings.otlp.ok().flatten().filter(|_| has_certificates),
        addresses: admin
            .map(|address| (Listener::Admin, address))
            .into_iter()
            .collect(),
        descriptors: needed.map(|(concurrency, connections)| Descriptors {
            needed: concurrency + connections + RESERVED_DESCRIPTORS,
            purpose: "WORKER_CONCURRENCY, DATABASE_MAX_CONNECTIONS and itself",
        }),
    };
    let findings = Box::pin(doctor.examine(ready(Vec::new()))).await;
    findings.end(args.json)
}
