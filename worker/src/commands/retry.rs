use anyhow::bail;
use clap::Args;
use shared::clock::Clock;
use shared::config::{Checker, DatabaseArgs, LogArgs};
use shared::ids::KeyId;
use shared::outln;
use shared::store::{PostgresStore, Rearm, Store};
use shared::telemetry;

/// The number of rows that one statement re-arms. It is limited, so that a million
/// dead letters do not block the database.
const BATCH: i64 = 1000;

/// The flags of `worker retry`.
#[derive(Debug, Args)]
pub struct RetryArgs {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// Id of the key whose work is a dead letter or waits for a later attempt
    #[arg(value_name = "ID")]
    id: Option<KeyId>,
    /// All dead letters
    #[arg(long)]
    all: bool,
    /// All work that waits for a later attempt, for instance after an invalid
    /// Svix token was replaced
    #[arg(long)]
    waiting: bool,
}

/// Makes work due again, with a fresh retry budget. The workers' sweep finds it
/// within a second or so.
pub async fn retry(args: &RetryArgs) -> anyhow::Result<()> {
    let mut checker = Checker::default();
    let log = args.log.check(&mut checker);
    let database = args.database.check(&mut checker);
    let (log, database) = checker.finish(|| Ok((log?, database?)))?;
    telemetry::init(log);
    let store = PostgresStore::new(database);
    let now = Clock::system().now();

    let which = match (args.which.id, args.which.waiting) {
        (Some(id), _) => Rearm::One(id),
        (None, true) => Rearm::Waiting,
        (None, false) => Rearm::DeadLetters,
    };
    // Stop at the number of rows that waited at first: a row that fails again
    // meanwhile must not be re-armed again.
    let waiting = store.backlog(now).await?.waiting;
    let mut rearmed = 0;
    loop {
        let jobs = store.rearm(which, now, BATCH).await?;
        rearmed += jobs.len();
        let all_waiting = which == Rearm::Waiting && i64::try_from(rearmed)? >= waiting;
        if jobs.is_empty() || all_waiting {
            break;
        }
    }
    if let (Rearm::One(id), 0) = (which, rearmed) {
        bail!(
            "key {id} is neither a dead letter nor waiting for a later attempt; nothing was changed"
        );
    }
    outln!("{rearmed} re-armed");
    Ok(())
}
