//! The first and the last steps of every binary.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{DumpableBehavior, Resource, Rlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::telemetry;

/// Prepares the process: selects one TLS provider for all connections, disables core
/// dumps, which would contain secrets, and allows itself as many descriptors as it may.
pub fn init() {
    // Without a default provider, the first TLS connection of some libraries panics.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();

    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = rustix::process::setrlimit(Resource::Core, none);
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);

    let descriptors = rustix::process::getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: descriptors.maximum,
        maximum: descriptors.maximum,
    };
    let _ = rustix::process::setrlimit(Resource::Nofile, all);
}

/// Lets only this user read and write the files that the process creates.
pub fn keep_files_private() {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// Returns the number of descriptors (files, sockets) that the process may open.
pub fn max_descriptors() -> usize {
    let limit = rustix::process::getrlimit(Resource::Nofile).current;
    limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    })
}

/// Returns a name for a worker of this process: host, process id and a random part,
/// so that each call returns a new name.
pub fn process_name() -> String {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy();
    let random: u32 = rand::random();
    format!("{host}:{}:{random:08x}", std::process::id())
}

/// Returns a token that the first SIGTERM or SIGINT cancels. The process should then
/// finish what it has begun and stop. A second signal ends the process at once, with
/// status 1.
pub fn shutdown_on_signal() -> std::io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let shutdown = token.clone();
    tokio::spawn(async move {
        next_signal(&mut terminate, &mut interrupt).await;
        let _ = STOPPING_SINCE.set(Instant::now());
        tracing::info!("shutting down; a second signal ends the process at once");
        shutdown.cancel();
        next_signal(&mut terminate, &mut interrupt).await;
        tracing::warn!("a second signal ended the process at once");
        telemetry::flush();
        std::process::exit(1);
    });
    Ok(token)
}

/// The time of the first signal.
static STOPPING_SINCE: OnceLock<Instant> = OnceLock::new();

/// Returns for how long the process has been stopping; zero if no signal told it to.
pub fn stopping_for() -> Duration {
    STOPPING_SINCE
        .get()
        .map_or(Duration::ZERO, Instant::elapsed)
}

async fn next_signal(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
