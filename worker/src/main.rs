//! The `worker` binary.

mod commands;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use commands::{DoctorArgs, RetryArgs, StatusArgs, WorkArgs};
use shared::config::{
    CERTIFICATES_HELP, DATABASE_HELP, OTLP_HELP, REDIS_HELP, SVIX_HELP, environment_help,
};
use shared::{runtime, telemetry};

/// Sets up webhooks, and ends portal sessions, in the background. Without a command, it starts to work.
#[derive(Debug, Parser)]
#[command(name = "worker", version = shared::VERSION, args_conflicts_with_subcommands = true)]
#[command(after_help = environment_help(&[DATABASE_HELP, REDIS_HELP, SVIX_HELP, CERTIFICATES_HELP, OTLP_HELP]))]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    work: WorkArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows the amount of work, by state, and the workers
    #[command(after_help = environment_help(&[DATABASE_HELP, REDIS_HELP]))]
    Status(StatusArgs),
    /// Makes work due again that was given up or that waits for a later attempt
    #[command(after_help = environment_help(&[DATABASE_HELP]))]
    Retry(RetryArgs),
    /// Checks the settings and all that a worker needs, and says how to mend what is wrong
    #[command(after_help = environment_help(&[DATABASE_HELP, REDIS_HELP, SVIX_HELP, CERTIFICATES_HELP, OTLP_HELP]))]
    Doctor(DoctorArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    runtime::init();
    let cli = Cli::parse();
    let done = match &cli.command {
        None => commands::work(&cli.work).await,
        Some(Command::Status(args)) => commands::status(args).await,
        Some(Command::Retry(args)) => commands::retry(args).await,
        Some(Command::Doctor(args)) => Box::pin(commands::doctor(args)).await,
    };
    telemetry::finish().await;
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("worker: {error:#}");
            ExitCode::FAILURE
        }
    }
}
