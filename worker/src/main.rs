//! The `worker` binary.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser};
use shared::clock::Clock;
use shared::config::{Checker, DatabaseArgs, LogArgs, RedisArgs, SvixArgs, WorkerArgs};
use shared::queue::RedisQueue;
use shared::store::PostgresStore;
use shared::{runtime, telemetry};
use worker::provision_webhook::Provisioner;
use worker::runner::Runner;
use worker::sweep::Sweep;

/// How long jobs under way may take once the worker is told to stop.
const DRAIN: Duration = Duration::from_secs(23);

/// Sets up webhooks behind the scenes. Without a command: works.
#[derive(Debug, Parser)]
#[command(name = "worker", version)]
struct Cli {
    #[command(flatten)]
    work: WorkArgs,
}

#[derive(Debug, Args)]
struct WorkArgs {
    #[command(flatten)]
    worker: WorkerArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    redis: RedisArgs,
    #[command(flatten)]
    svix: SvixArgs,
    #[command(flatten)]
    log: LogArgs,
}

#[tokio::main]
async fn main() -> ExitCode {
    runtime::init();
    match work(&Cli::parse().work).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("worker: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn work(args: &WorkArgs) -> anyhow::Result<()> {
    let mut checker = Checker::default();
    let log = args.log.check(&mut checker);
    let database = args.database.check(&mut checker);
    let redis = args.redis.check(&mut checker);
    let svix = args.svix.check(&mut checker);
    let concurrency = args.worker.check(&mut checker);
    let checked = log.zip(database).zip(redis).zip(svix).zip(concurrency);
    let ((((log, database), redis), svix), concurrency) = checker.finish(checked)?;

    telemetry::init(log);
    let shutdown = runtime::shutdown_on_signal()?;
    let clock = Clock::system();
    let store = Arc::new(PostgresStore::new(database.0, database.1));
    let queue = RedisQueue::new(redis, clock.clone())?;

    let sweep = Sweep {
        store: store.clone(),
        queue: Arc::new(queue.clone()),
        redis: Some(queue.clone()),
        clock: clock.clone(),
    };
    tokio::spawn(sweep.run(shutdown.clone()));

    let runner = Runner::new(Provisioner::new(store, &svix, clock), concurrency);
    tracing::info!(concurrency, "working");
    let drained = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        ended = runner.run_redis(&queue, shutdown.clone()) => {
            ended.context("the supervisor should start this process anew")?;
        }
        () = drained => tracing::warn!("jobs left to the end of their leases"),
    }
    tracing::info!("stopped");
    Ok(())
}
