//! The `api` binary.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use api::App;
use api::auth::Sessions;
use clap::{Args, Parser, Subcommand};
use shared::clock::Clock;
use shared::config::{
    CERTIFICATES_HELP, Checker, DatabaseArgs, HttpArgs, LogArgs, RedisArgs, SessionArgs,
    SessionConfig, SvixArgs, check_certificates,
};
use shared::ids::AccountId;
use shared::queue::{RedisQueue, nudge};
use shared::session::SessionToken;
use shared::store::{PostgresStore, Store};
use shared::{runtime, telemetry};

/// Partner API keys over HTTP. Without a command: serves.
#[derive(Debug, Parser)]
#[command(name = "api", version, args_conflicts_with_subcommands = true)]
#[command(after_help = CERTIFICATES_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Brings the database's schema up to date
    Migrate(StoreArgs),
    /// Prints the OpenAPI document
    Openapi,
    /// Sessions
    #[command(subcommand)]
    Session(SessionCommand),
}

#[derive(Debug, Subcommand)]
enum SessionCommand {
    /// Issues a session and prints its token, alone
    Issue {
        /// Whose session: any text of 1 to 255 characters
        #[arg(long, value_name = "ID")]
        account: AccountId,
        /// How long it lasts: 30m, 1h, 7d
        #[arg(long, default_value = "1h", value_parser = parse_ttl)]
        ttl: Duration,
        #[command(flatten)]
        sessions: SessionArgs,
        #[command(flatten)]
        store: StoreArgs,
    },
}

#[derive(Debug, Args)]
struct ServeArgs {
    #[command(flatten)]
    http: HttpArgs,
    #[command(flatten)]
    sessions: SessionArgs,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    redis: RedisArgs,
    #[command(flatten)]
    svix: SvixArgs,
}

#[derive(Debug, Args)]
struct StoreArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// A number and a unit: s, m, h or d.
fn parse_ttl(text: &str) -> Result<Duration, String> {
    let expected = || "expected a number and a unit, 30m, 1h or 7d for instance".to_owned();
    let unit = text.chars().last().ok_or_else(expected)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(expected()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| expected())?;
    let seconds = number
        .checked_mul(seconds)
        .filter(|s| (1..=10 * 365 * 86_400).contains(s));
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| "expected 1 s to 10 years".to_owned())
}

#[tokio::main]
async fn main() -> ExitCode {
    runtime::init();
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("api: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        None => serve(&cli.serve).await,
        Some(Command::Migrate(args)) => migrate(&args).await,
        Some(Command::Openapi) => {
            print!("{}", api::openapi::committed());
            Ok(())
        }
        Some(Command::Session(SessionCommand::Issue {
            account,
            ttl,
            sessions,
            store,
        })) => issue_session(&account, ttl, &sessions, &store).await,
    }
}

async fn serve(args: &ServeArgs) -> anyhow::Result<()> {
    let mut checker = Checker::default();
    let log = args.store.log.check(&mut checker);
    let database = args.store.database.check(&mut checker);
    let redis = args.redis.check(&mut checker);
    let svix = args.svix.check(&mut checker);
    let http = args.http.check(&mut checker);
    let sessions = args.sessions.check(&mut checker);
    check_certificates(&mut checker);
    let http = http.zip(sessions);
    let settings = log.zip(database).zip(redis).zip(svix).zip(http);
    let ((((log, database), redis), svix), (http, sessions)) = checker.finish(settings)?;

    telemetry::init(log);
    let shutdown = runtime::shutdown_on_signal()?;
    let store = Arc::new(PostgresStore::new(database.0, database.1));
    let queue = Arc::new(RedisQueue::new(redis, Clock::system())?);
    let (nudge, nudging) = nudge(queue.clone());
    tokio::spawn(nudging);

    let listen = http.listen;
    let sessions = Sessions::new(&sessions, Clock::system())?;
    let app = App::new(store, queue, nudge, &svix, sessions, http);
    let bound = api::bind(listen).await;
    let bound = bound.with_context(|| format!("LISTEN_ADDR: cannot listen on {listen}"))?;
    tracing::info!(address = %bound.address, "listening on http://{}", bound.address);
    bound.serve(app, shutdown).await?;
    tracing::info!("stopped");
    Ok(())
}

/// The database of a command that has checked its other settings.
fn open_store(args: &StoreArgs, mut checker: Checker) -> anyhow::Result<PostgresStore> {
    let log = args.log.check(&mut checker);
    let database = args.database.check(&mut checker);
    let (log, database) = checker.finish(log.zip(database))?;
    telemetry::init(log);
    Ok(PostgresStore::new(database.0, database.1))
}

async fn migrate(args: &StoreArgs) -> anyhow::Result<()> {
    open_store(args, Checker::default())?.migrate().await?;
    tracing::info!("the schema is up to date");
    Ok(())
}

async fn issue_session(
    account: &AccountId,
    ttl: Duration,
    sessions: &SessionArgs,
    store: &StoreArgs,
) -> anyhow::Result<()> {
    let mut checker = Checker::default();
    let sessions = sessions.check(&mut checker);
    let store = open_store(store, checker)?;
    if let Some(SessionConfig::Jwt(_)) = sessions {
        anyhow::bail!("SESSION_MODE is jwt: the identity provider issues the sessions");
    }
    let token = SessionToken::generate().context("the operating system gave no randomness")?;
    let now = Clock::system().now();
    store
        .insert_session(&token.hash(), account, now, now + ttl)
        .await?;
    println!("{}", token.expose());
    Ok(())
}
