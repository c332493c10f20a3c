use anyhow::bail;
use clap::Args;
use serde_json::{Value, json};
use shared::clock::{Clock, Timestamp};
use shared::config::{Checker, DatabaseArgs, LogArgs, RedisArgs};
use shared::outln;
use shared::queue::{LiveWorker, Queue, QueueError, RedisQueue};
use shared::store::{Backlog, DeadLetter, PostgresStore, Store, StoreError};
use shared::telemetry;

/// The number of dead letters that are listed. The count covers all of them.
const LISTED: i64 = 20;

/// The flags of `worker status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Prints JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    redis: RedisArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// The answers of the database.
struct Rows {
    backlog: Backlog,
    dead_letters: Vec<DeadLetter>,
}

/// The answers of Redis.
struct Redis {
    depth: usize,
    workers: Vec<LiveWorker>,
}

/// Prints the amount of work and the workers. If the database or Redis cannot be
/// reached, it says so, prints the rest, and returns an error.
pub async fn status(args: &StatusArgs) -> anyhow::Result<()> {
    let mut checker = Checker::default();
    let log = args.log.check(&mut checker);
    let database = args.database.check(&mut checker);
    let redis = args.redis.check(&mut checker);
    let (log, database, redis) = checker.finish(|| Ok((log?, database?, redis?)))?;
    telemetry::init(log);

    let clock = Clock::system();
    let store = PostgresStore::new(database);
    let queue = RedisQueue::new(redis, clock.clone());
    let now = clock.now();
    let (rows, redis) = tokio::join!(read_rows(&store, now), read_redis(&queue));

    if args.json {
        outln!("{:#}", to_json(&rows, &redis));
    } else {
        print_text(&rows, &redis, now);
    }
    match (rows.is_ok(), redis.is_ok()) {
        (true, true) => Ok(()),
        (false, true) => bail!("the database could not be reached"),
        (true, false) => bail!("Redis could not be reached"),
        (false, false) => bail!("neither the database nor Redis could be reached"),
    }
}

async fn read_rows(store: &PostgresStore, now: Timestamp) -> Result<Rows, StoreError> {
    Ok(Rows {
        backlog: store.backlog(now).await?,
        dead_letters: store.dead_letters(LISTED).await?,
    })
}

async fn read_redis(queue: &RedisQueue) -> Result<Redis, QueueError> {
    Ok(Redis {
        depth: queue.depth().await?,
        workers: queue.workers().await?,
    })
}

fn print_text(rows: &Result<Rows, StoreError>, redis: &Result<Redis, QueueError>, now: Timestamp) {
    match rows {
        Err(error) => outln!("database   not reached: {error}"),
        Ok(Rows {
            backlog,
            dead_letters,
        }) => {
            outln!("due        {}", backlog.due);
            outln!("leased     {}", backlog.leased);
            outln!("waiting    {}", backlog.waiting);
            outln!("failed     {}", backlog.failed);
            if let Some(oldest) = backlog.oldest_due {
                outln!(
                    "oldest due {oldest} ({} s ago)",
                    now.since(oldest).as_secs()
                );
            }
            for letter in dead_letters {
                let DeadLetter {
                    key_id,
                    account_id,
                    attempts,
                    failed_at,
                    ..
                } = letter;
                let error = letter.last_error.as_deref().unwrap_or("unknown");
                let plural = if *attempts == 1 { "" } else { "s" };
                outln!(
                    "  failed {failed_at} after {attempts} attempt{plural} to {work}: {key_id} of \
                     account {account_id:?}: {error}",
                    work = work(letter),
                    account_id = account_id.as_str(),
                );
            }
        }
    }
    match redis {
        Err(error) => outln!("redis      not reached: {error}"),
        Ok(Redis { depth, workers }) => {
            outln!("redis      {depth} jobs waiting");
            outln!("workers    {}", workers.len());
            for worker in workers {
                let age = now.since(worker.last_heartbeat).as_secs();
                outln!("  {} last heartbeat {age} s ago", worker.name);
            }
        }
    }
}

/// Returns what the given-up work was to do.
fn work(letter: &DeadLetter) -> &'static str {
    if letter.revoked_at.is_some() {
        "end the portal sessions"
    } else {
        "set up the webhooks"
    }
}

fn to_json(rows: &Result<Rows, StoreError>, redis: &Result<Redis, QueueError>) -> Value {
    let database = match rows {
        Err(error) => json!({"reached": false, "error": error.to_string()}),
        Ok(Rows {
            backlog,
            dead_letters,
        }) => json!({
            "reached": true,
            "due": backlog.due,
            "leased": backlog.leased,
            "waiting": backlog.waiting,
            "failed": backlog.failed,
            "oldest_due": backlog.oldest_due.map(Timestamp::to_rfc3339),
            "dead_letters": dead_letters.iter().map(|letter| json!({
                "key_id": letter.key_id.to_string(),
                "account_id": letter.account_id.as_str(),
                "work": work(letter),
                "attempts": letter.attempts,
                "failed_at": letter.failed_at.to_rfc3339(),
                "last_error": letter.last_error,
            })).collect::<Vec<_>>(),
        }),
    };
    let redis = match redis {
        Err(error) => json!({"reached": false, "error": error.to_string()}),
        Ok(Redis { depth, workers }) => json!({
            "reached": true,
            "depth": depth,
            "workers": workers.iter().map(|worker| json!({
                "name": worker.name,
                "last_heartbeat": worker.last_heartbeat.to_rfc3339(),
            })).collect::<Vec<_>>(),
        }),
    };
    json!({"database": database, "redis": redis})
}
