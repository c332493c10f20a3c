//! `api purge`: deletes what is no longer needed.

use std::process::ExitCode;

use clap::Args;
use shared::clock::Timestamp;
use shared::config::Checker;
use shared::outln;
use shared::store::Store;

use super::StoreArgs;
use super::key::now;

/// The number of rows that one statement deletes, so that it blocks nobody for long.
const BATCH: i64 = 1000;

/// The flags of `api purge`.
#[derive(Debug, Args)]
pub struct PurgeArgs {
    /// Also deletes the keys that were revoked before this time, for instance
    /// 2026-01-01T00:00:00Z. Their events stay
    #[arg(long, value_name = "TIME")]
    revoked_before: Option<Timestamp>,
    /// Deletes nothing, and only counts
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    store: StoreArgs,
}

/// Deletes the sessions that have ended and, if asked for, old revoked keys.
pub async fn purge(args: &PurgeArgs) -> anyhow::Result<ExitCode> {
    let store = args.store.open(Checker::default())?;
    let (now, verb) = (
        now(),
        if args.dry_run {
            "would be deleted"
        } else {
            "deleted"
        },
    );

    let mut sessions = store.count_ended_sessions(now).await?;
    if !args.dry_run {
        sessions = 0;
        while let deleted @ 1.. = store.purge_sessions(now, BATCH).await? {
            sessions += i64::try_from(deleted)?;
        }
    }
    outln!("{sessions} ended sessions {verb}");

    if let Some(before) = args.revoked_before {
        // A key that a rotation has replaced has its end, which may be to come, as this time.
        let before = before.min(now);
        let mut keys = store.count_revoked_keys(before).await?;
        if !args.dry_run {
            keys = 0;
            while let deleted @ 1.. = store.purge_keys(before, BATCH).await? {
                keys += i64::try_from(deleted)?;
            }
        }
        outln!("{keys} revoked keys {verb}");
    }
    Ok(ExitCode::SUCCESS)
}
