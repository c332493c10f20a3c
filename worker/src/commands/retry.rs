use anyhow::bail;
use clap::Args;
use shared::clock::Clock;
use shared::config::{Checker, DatabaseArgs, LogArgs};
use shared::ids::KeyId;
use shared::store::{PostgresStore, Rearm, Store};
use shared::telemetry;

/// Rows re-armed by one statement, so that a million dead letters do not hold
/// the database up.
const BATCH: i64 = 1000;

/// The settings of `worker retry`.
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
    /// The dead letter, or the row that waits for a later attempt
    #[arg(value_name = "ID")]
    id: Option<KeyId>,
    /// All dead letters
    #[arg(long)]
    all: bool,
    /// All rows that wait for a later attempt: once a wrong token is mended, say
    #[arg(long)]
    waiting: bool,
}

/// Makes work due again, with a fresh retry budget. The workers' sweep finds it
/// within a second or so.
pub async fn retry(args: &RetryArgs) -> anyhow::Result<()> {
    let mut checker = Checker::default();
    let log = args.log.check(&mut checker);
    let database = args.database.check(&mut checker);
    let (log, database) = checker.finish(log.zip(database))?;
    telemetry::init(log);
    let store = PostgresStore::new(database.0, database.1);
    let now = Clock::system().now();

    let which = match (args.which.id, args.which.waiting) {
        (Some(id), _) => Rearm::One(id),
        (None, true) => Rearm::Waiting,
        (None, false) => Rearm::DeadLetters,
    };
    // No more than there are: what fails again meanwhile is not re-armed again.
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
        bail!("{id} is neither a dead letter nor waiting for a later attempt: nothing was changed");
    }
    println!("{rearmed} re-armed");
    Ok(())
}
