//! The `svix-simulator` binary. The crate's documentation says how to use it.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use svix_simulator::{Options, Simulator};
use tokio::signal::unix::{SignalKind, signal};

/// Simulates the Svix server. Faults can be set over HTTP
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Address to listen on. There is no access control, so use only a loopback address
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8071")]
    listen: SocketAddr,

    /// JSON file that stores the applications. By default they are kept in memory only
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    // Watch for signals before printing the address, so that a caller can stop the
    // process as soon as it has read the line.
    let mut terminate = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot watch for ctrl-c")?;
    let simulator = Simulator::start(Options {
        listen: arguments.listen,
        token: None,
        data: arguments.data,
    })
    .await?;
    // Keep running when standard output is closed.
    let _ = writeln!(
        std::io::stdout(),
        "svix-simulator listening on {}",
        simulator.url()
    );
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    simulator.stop().await;
    Ok(())
}
