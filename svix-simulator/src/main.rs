//! A stand-in for the Svix server, to run beside the service on one machine.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use svix_simulator::{Options, Simulator};
use tokio::signal::unix::{SignalKind, signal};

/// Answers the Svix SDK as the Svix server does, and fails as told over HTTP.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen. It asks for no password: keep it on the loopback address
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8071")]
    listen: SocketAddr,

    /// Keep applications in this JSON file
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    // Before the line that says we are ready: whoever waits for it may end us next.
    let mut terminate = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot watch for ctrl-c")?;
    let simulator = Simulator::start(Options {
        listen: arguments.listen,
        token: None,
        data: arguments.data,
    })
    .await?;
    // A pipe that was closed early is no reason to end.
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
