use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use shared::clock::Clock;
use shared::config::{Checker, SessionArgs, SessionConfig};
use shared::ids::AccountId;
use shared::session::SessionToken;
use shared::store::Store;

use super::StoreArgs;

/// The longest lifetime of an issued session, in days: ten years.
const MAX_TTL_DAYS: u64 = 3650;

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

/// Stores a session and prints its token.
pub async fn issue_session(args: &IssueArgs) -> anyhow::Result<()> {
    let mut checker = Checker::default();
    let sessions = args.sessions.check(&mut checker);
    let store = args.store.open(checker)?;
    if let Ok(SessionConfig::Jwt(_)) = sessions {
        bail!("SESSION_MODE is jwt, so the identity provider issues the sessions");
    }
    let token = SessionToken::generate().context("the operating system gave no randomness")?;
    let now = Clock::system().now();
    store
        .insert_session(&token.hash(), &args.account, now, now + args.ttl)
        .await?;
    println!("{}", token.expose());
    Ok(())
}
