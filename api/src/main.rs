//! The `api` binary.

mod commands;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use commands::{DoctorArgs, KeyCommand, PurgeArgs, ServeArgs, SessionCommand, StoreArgs};
use shared::config::{
    CERTIFICATES_HELP, DATABASE_HELP, INTERNAL_HELP, OTLP_HELP, REDIS_HELP, SVIX_HELP,
    environment_help,
};
use shared::out;
use shared::{runtime, telemetry};

/// Serves partner API keys over HTTP. Without a command, it starts to serve.
#[derive(Debug, Parser)]
#[command(name = "api", version = shared::VERSION, args_conflicts_with_subcommands = true)]
#[command(after_help = environment_help(&[DATABASE_HELP, REDIS_HELP, SVIX_HELP, INTERNAL_HELP, CERTIFICATES_HELP, OTLP_HELP]))]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Migrates the database's schema to this version
    #[command(after_help = environment_help(&[DATABASE_HELP]))]
    Migrate(StoreArgs),
    /// Prints the OpenAPI document
    Openapi(OpenapiArgs),
    /// Lists, shows and revokes keys, and shows what happened to them
    #[command(subcommand)]
    Key(KeyCommand),
    /// Issues, lists and revokes sessions
    #[command(subcommand)]
    Session(SessionCommand),
    /// Deletes the sessions that have ended and, if asked for, old revoked keys
    #[command(after_help = environment_help(&[DATABASE_HELP]))]
    Purge(PurgeArgs),
    /// Checks the settings and all that an api needs, and says how to mend what is wrong
    #[command(after_help = environment_help(&[DATABASE_HELP, REDIS_HELP, SVIX_HELP, INTERNAL_HELP, CERTIFICATES_HELP, OTLP_HELP]))]
    Doctor(Box<DoctorArgs>),
}

#[derive(Debug, Args)]
struct OpenapiArgs {
    /// The document of the listener for the platform's other services
    #[arg(long)]
    internal: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    runtime::init();
    let cli = Cli::parse();
    let done = match &cli.command {
        None => commands::serve(&cli.serve).await.map(succeeded),
        Some(Command::Migrate(args)) => commands::migrate(args).await.map(succeeded),
        Some(Command::Openapi(OpenapiArgs { internal })) => {
            let document = if *internal {
                api::openapi::committed_internal()
            } else {
                api::openapi::committed()
            };
            out!("{document}");
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Key(command)) => commands::key(command).await,
        Some(Command::Session(command)) => commands::session(command).await,
        Some(Command::Purge(args)) => commands::purge(args).await,
        Some(Command::Doctor(args)) => Box::pin(commands::doctor(args)).await,
    };
    telemetry::finish().await;
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("api: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn succeeded((): ()) -> ExitCode {
    ExitCode::SUCCESS
}
