//! `api purge`: deletes what is no longer needed.

use std::process::ExitCode;

use clap::Args;
use shared::clock::Timestamp;
use shared::config::Checker;
use shared::outln;
use shared::store::Store;

use super::key::now;
use super::{StoreArgs, in_batches};

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

    let sessions = if args.dry_run {
        store.count_ended_sessions(now).await?
    } else {
        in_batches(1, async |limit| store.purge_sessions(now, limit).await).await?
    };
    outln!("{sessions} ended sessions {verb}");

    if let Some(before) = args.revoked_before {
        // A key that a rotation has replaced has its end, which may be to come, as this time.
        let before = before.min(now);
        let keys = if args.dry_run {
            store.count_revoked_keys(before).await?
        } else {
            in_batches(1, async |limit| store.purge_keys(before, limit).await).await?
        };
        outln!("{keys} revoked keys {verb}");
    }
    Ok(ExitCode::SUCCESS)
}
