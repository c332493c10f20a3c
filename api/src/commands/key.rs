//! `api key`: the operator's view of keys, and the operator's hand on them.

use std::io::Read;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use secrecy::{ExposeSecret, SecretString};
use shared::clock::{Clock, Timestamp};
use shared::config::{Checker, DATABASE_HELP, SVIX_HELP, environment_help};
use shared::ids::{AccountId, KeyId};
use shared::key::{KeyPrefix, PartnerKey};
use shared::store::{KeyEvent, KeyFilter, ListedKey, Store};
use shared::{out, outln};
use uuid::Uuid;

use super::revoke::RevokeArgs;
use super::{NOTHING_FOUND, StoreArgs, print_json};

/// The number of keys that are read at once.
const PAGE: i64 = 1000;

/// The number of events that are shown by default.
const EVENTS: i64 = 100;

/// The commands of `api key`.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Lists keys that work, or with --all revoked ones too
    #[command(after_help = environment_help(&[DATABASE_HELP]))]
    List(ListArgs),
    /// Shows a key, active or revoked
    #[command(after_help = environment_help(&[DATABASE_HELP]))]
    Show(ShowArgs),
    /// Revokes keys and ends their portal sessions
    #[command(after_help = environment_help(&[DATABASE_HELP, SVIX_HELP]))]
    Revoke(RevokeArgs),
    /// Shows what happened to keys, the newest first
    #[command(after_help = environment_help(&[DATABASE_HELP]))]
    Events(EventsArgs),
}

/// The flags of `api key list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only the keys of this account
    #[arg(long, value_name = "ID")]
    account: Option<AccountId>,
    /// Includes revoked keys
    #[arg(long)]
    all: bool,
    /// Prints JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreArgs,
}

/// The flags of `api key show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    #[command(flatten)]
    which: OneKey,
    /// Prints JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreArgs,
}

/// The flags of `api key events`.
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Only the events of this account
    #[arg(long, value_name = "ID")]
    account: Option<AccountId>,
    /// Number of events
    #[arg(long, value_name = "N", default_value_t = EVENTS)]
    #[arg(value_parser = clap::value_parser!(i64).range(1..=100_000))]
    limit: i64,
    /// Prints JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreArgs,
}

/// The ways to name a key.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct OneKey {
    /// The keys of this account
    #[arg(long, value_name = "ID")]
    pub account: Option<AccountId>,
    /// The key with these first 24 characters
    #[arg(long, value_name = "PREFIX")]
    pub prefix: Option<KeyPrefix>,
    /// The key that is read from standard input
    #[arg(long)]
    pub key_stdin: bool,
}

impl OneKey {
    /// Returns the filter that finds the key. Reads standard input if it was asked for.
    pub fn filter(&self) -> anyhow::Result<KeyFilter> {
        let hash = if self.key_stdin {
            let mut text = String::new();
            let limit = 1024; // a key has 72 characters
            let read = std::io::stdin().take(limit).read_to_string(&mut text);
            let text = SecretString::from(text);
            read.context("cannot read the key from standard input")?;
            let key = PartnerKey::parse(text.expose_secret().trim());
            Some(key.context("standard input is no key")?.hash())
        } else {
            None
        };
        Ok(KeyFilter {
            account: self.account.clone(),
            prefix: self.prefix.clone(),
            hash,
            ..KeyFilter::default()
        })
    }
}

/// Runs a command of `api key`.
pub async fn key(command: &KeyCommand) -> anyhow::Result<ExitCode> {
    match command {
        KeyCommand::List(args) => list(args).await,
        KeyCommand::Show(args) => show(args).await,
        KeyCommand::Revoke(args) => super::revoke::revoke(args).await,
        KeyCommand::Events(args) => events(args).await,
    }
}

async fn list(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let store = args.store.open(Checker::default())?;
    let filter = KeyFilter {
        account: args.account.clone(),
        with_revoked: args.all,
        ..KeyFilter::default()
    };
    let keys = all_keys(&store, &filter).await?;
    if args.json {
        print_json(&keys)?;
    } else {
        keys.iter().for_each(print_key);
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(args: &ShowArgs) -> anyhow::Result<ExitCode> {
    let filter = KeyFilter {
        with_revoked: true,
        ..args.which.filter()?
    };
    let store = args.store.open(Checker::default())?;
    let keys = all_keys(&store, &filter).await?;
    if args.json {
        print_json(&keys)?;
    } else {
        keys.iter().for_each(print_key);
    }
    if keys.is_empty() {
        eprintln!("api: there is no such key");
        return Ok(NOTHING_FOUND.into());
    }
    Ok(ExitCode::SUCCESS)
}

async fn events(args: &EventsArgs) -> anyhow::Result<ExitCode> {
    let store = args.store.open(Checker::default())?;
    let events = store.events(args.account.as_ref(), args.limit).await?;
    if args.json {
        print_json(&events)?;
    } else {
        events.iter().for_each(print_event);
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads all keys for which the filter holds, the oldest first.
pub async fn all_keys(store: &dyn Store, filter: &KeyFilter) -> anyhow::Result<Vec<ListedKey>> {
    let mut all = Vec::new();
    let mut after = KeyId(Uuid::nil());
    loop {
        let page = store.keys(filter, now(), after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(all);
        };
        after = last.id;
        all.extend(page);
    }
}

fn print_key(key: &ListedKey) {
    let state = match key.revoked_at {
        Some(at) if key.expires_at.is_some_and(|end| now() < end) => {
            format!("replaced, works until {at}")
        }
        Some(at) => format!("revoked {at}"),
        None if key.has_webhook => "active, with webhooks".to_owned(),
        None => "active, without webhooks".to_owned(),
    };
    let used = key.last_used_at;
    let used = used.map_or("never".to_owned(), Timestamp::to_rfc3339);
    let (prefix, account, id, created) = (
        &key.key_prefix,
        key.account_id.as_str(),
        key.id,
        key.created_at,
    );
    outln!("{prefix}  {state}  account {account:?}  id {id}  created {created}  last used {used}");
}

fn print_event(event: &KeyEvent) {
    let (at, kind, prefix) = (event.at, &event.kind, &event.key_prefix);
    let account = event.account_id.as_str();
    let actor = &event.actor;
    out!("{at}  {kind}  {prefix}  account {account:?}  by {actor}");
    let details = [
        ("reason", &event.reason),
        ("from", &event.client_address),
        ("session", &event.session_id),
        ("with", &event.user_agent),
    ];
    for (name, value) in details {
        if let Some(value) = value {
            out!("  {name} {value:?}");
        }
    }
    match event.request_id {
        Some(id) => outln!("  request {id}"),
        None => outln!(),
    }
}

/// Returns the time from which operators' commands count.
pub fn now() -> Timestamp {
    Clock::system().now()
}
