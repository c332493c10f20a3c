//! The `api` binary.

mod commands;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use commands::{IssueArgs, ServeArgs, StoreArgs};
use shared::config::CERTIFICATES_HELP;
use shared::runtime;

/// Serves partner API keys over HTTP. Without a command, it starts to serve.
#[derive(Debug, Parser)]
#[command(name = "api", version = shared::VERSION, args_conflicts_with_subcommands = true)]
#[command(after_help = CERTIFICATES_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Migrates the database's schema to this version
    Migrate(StoreArgs),
    /// Prints the OpenAPI document
    Openapi,
    /// Manages sessions
    #[command(subcommand)]
    Session(SessionCommand),
}

#[derive(Debug, Subcommand)]
enum SessionCommand {
    /// Issues a session and prints only its token
    Issue(IssueArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    runtime::init();
    let cli = Cli::parse();
    let done = match &cli.command {
        None => commands::serve(&cli.serve).await,
        Some(Command::Migrate(args)) => commands::migrate(args).await,
        Some(Command::Openapi) => {
            print!("{}", api::openapi::committed());
            Ok(())
        }
        Some(Command::Session(SessionCommand::Issue(args))) => commands::issue_session(args).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("api: {error:#}");
            ExitCode::FAILURE
        }
    }
}
