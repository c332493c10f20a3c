//! `api session`: the sessions of the table.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use shared::config::{Checker, DATABASE_HELP, SessionArgs, SessionConfig, environment_help};
use shared::ids::AccountId;
use shared::outln;
use shared::session::SessionToken;
use shared::store::{PostgresStore, Store};

use super::key::now;
use super::{BATCH, NOTHING_FOUND, StoreArgs, in_batches, print_json};

/// The longest lifetime of an issued session, in days: ten years.
const MAX_TTL_DAYS: u64 = 3650;

/// The commands of `api session`.
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// Issues a session and prints only its token
    #[command(after_help = environment_help(&[DATABASE_HELP]))]
    Issue(IssueArgs),
    /// Lists the sessions that are valid
    #[command(after_help = environment_help(&[DATABASE_HELP]))]
    List(ListArgs),
    /// Revokes sessions
    #[command(after_help = environment_help(&[DATABASE_HELP]))]
    Revoke(RevokeArgs),
}

/// The flags of `api session issue`.
#[derive(Debug, Args)]
pub struct IssueArgs {
    /// Account that the session signs in to: any text of 1 to 255 characters
    #[arg(long, value_name = "ID")]
    account: AccountId,
    /// Lifetime of the session, for instance 30m, 1h or 7d
    #[arg(long, default_value = "1h", value_parser = parse_ttl)]
    ttl: Duration,
    #[command(flatten)]
    sessions: SessionArgs,
    #[command(flatten)]
    store: StoreArgs,
}

fn parse_ttl(text: &str) -> Result<Duration, &'static str> {
    let range = Duration::from_secs(1)..=Duration::from_hours(24 * MAX_TTL_DAYS);
    humantime::parse_duration(text)
        .ok()
        .filter(|ttl| range.contains(ttl))
        .ok_or("expected 1 s to 10 years as a number and a unit, for instance 30m, 1h or 7d")
}

/// The flags of `api session list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only the sessions of this account
    #[arg(long, value_name = "ID")]
    account: Option<AccountId>,
    /// Number of sessions, the newest first
    #[arg(long, value_name = "N", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(i64).range(1..=100_000))]
    limit: i64,
    /// Prints JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sessions: SessionArgs,
    #[command(flatten)]
    store: StoreArgs,
}

/// The flags of `api session revoke`.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    #[command(flatten)]
    which: Which,
    /// Needed for --all
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    sessions: SessionArgs,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// The sessions of this account
    #[arg(long, value_name = "ID")]
    account: Option<AccountId>,
    /// All sessions: everybody has to sign in again. Needs --yes
    #[arg(long, requires = "yes")]
    all: bool,
}

/// Runs a command of `api session`.
pub async fn session(command: &SessionCommand) -> anyhow::Result<ExitCode> {
    match command {
        SessionCommand::Issue(args) => issue(args).await,
        SessionCommand::List(args) => list(args).await,
        SessionCommand::Revoke(args) => revoke(args).await,
    }
}

/// Opens the store, unless its sessions are not used.
fn open(sessions: &SessionArgs, store: &StoreArgs) -> anyhow::Result<PostgresStore> {
    let mut checker = Checker::default();
    let sessions = sessions.check(&mut checker);
    let store = store.open(checker)?;
    if let Ok(SessionConfig::Jwt(_)) = sessions {
        bail!("SESSION_MODE is jwt, so the identity provider issues the sessions");
    }
    Ok(store)
}

async fn list(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let store = open(&args.sessions, &args.store)?;
    let account = args.account.as_ref();
    let sessions = store.sessions(account, now(), args.limit).await?;
    if args.json {
        print_json(&sessions)?;
    } else {
        for session in sessions {
            let (id, account) = (&session.id, session.account_id.as_str());
            let (created, expires) = (session.created_at, session.expires_at);
            outln!("{id}  account {account:?}  created {created}  expires {expires}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn revoke(args: &RevokeArgs) -> anyhow::Result<ExitCode> {
    let store = open(&args.sessions, &args.store)?;
    let account = args.which.account.as_ref();
    let revoke = async |limit| store.revoke_sessions(account, now(), limit).await;
    // Not until none is left: people sign in again meanwhile, and it would not end. A batch that
    // is not even half full has found all that were left.
    let revoked = in_batches(BATCH / 2, revoke).await?;
    outln!("{revoked} revoked");
    if revoked == 0 && !args.which.all {
        return Ok(NOTHING_FOUND.into());
    }
    Ok(ExitCode::SUCCESS)
}

/// Stores a session and prints its token.
async fn issue(args: &IssueArgs) -> anyhow::Result<ExitCode> {
    let store = open(&args.sessions, &args.store)?;
    let token = SessionToken::generate().context("the operating system gave no randomness")?;
    let now = now();
    store
        .insert_session(&token.hash(), &args.account, now, now + args.ttl)
        .await?;
    outln!("{}", token.expose());
    Ok(ExitCode::SUCCESS)
}
