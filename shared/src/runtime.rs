//! What every binary does first and last.

use rustix::process::{DumpableBehavior, Resource, Rlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Prepares the process: one TLS provider for every link, and no core dumps,
/// which would hold secrets.
pub fn init() {
    // Without a default, the first TLS connection of some library panics.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();

    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = rustix::process::setrlimit(Resource::Core, none);
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// A name for a worker of this process: host, process and a random part, which
/// makes it a new one at each call.
pub fn process_name() -> String {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy();
    let random: u32 = rand::random();
    format!("{host}:{}:{random:08x}", std::process::id())
}

/// A token that is cancelled by the first SIGTERM or SIGINT: finish what was
/// begun, then stop. A second one ends the process at once, with status 1.
pub fn shutdown_on_signal() -> std::io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let shutdown = token.clone();
    tokio::spawn(async move {
        next(&mut terminate, &mut interrupt).await;
        tracing::info!("shutting down; a second signal ends at once");
        shutdown.cancel();
        next(&mut terminate, &mut interrupt).await;
        tracing::warn!("ended at once by a second signal");
        std::process::exit(1);
    });
    Ok(token)
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
