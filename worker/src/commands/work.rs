use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use shared::clock::Clock;
use shared::config::{
    Checker, DatabaseArgs, HealthArgs, LogArgs, RedisArgs, SvixArgs, WorkerArgs, check_certificates,
};
use shared::queue::RedisQueue;
use shared::store::PostgresStore;
use shared::{runtime, telemetry};
use worker::health;
use worker::liveness::Liveness;
use worker::provision_webhook::Provisioner;
use worker::runner::Runner;
use worker::sweep::Sweep;

/// How long jobs under way may take once the worker is told to stop; 25 s is
/// what an orchestrator should give it.
const DRAIN: Duration = Duration::from_secs(23);

/// The settings of a working worker.
#[derive(Debug, Args)]
pub struct WorkArgs {
    #[command(flatten)]
    worker: WorkerArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    redis: RedisArgs,
    #[command(flatten)]
    svix: SvixArgs,
    #[command(flatten)]
    health: HealthArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// Works until told to stop.
pub async fn work(args: &WorkArgs) -> anyhow::Result<()> {
    let mut checker = Checker::default();
    let log = args.log.check(&mut checker);
    let database = args.database.check(&mut checker);
    let redis = args.redis.check(&mut checker);
    let svix = args.svix.check(&mut checker);
    let concurrency = args.worker.check(&mut checker);
    let health = args.health.check(&mut checker);
    check_certificates(&mut checker);
    let settings = log
        .zip(database)
        .zip(redis)
        .zip(svix)
        .zip(concurrency)
        .zip(health);
    let (((((log, database), redis), svix), concurrency), health) = checker.finish(settings)?;

    telemetry::init(log);
    let shutdown = runtime::shutdown_on_signal()?;
    let (clock, liveness) = (Clock::system(), Liveness::watch());
    let store = Arc::new(PostgresStore::new(database.0, database.1));
    let queue = RedisQueue::new(redis, clock.clone())?;

    if let Some(address) = health {
        let bound = health::bind(address).await;
        let bound = bound.with_context(|| format!("HEALTH_ADDR: cannot listen on {address}"))?;
        tokio::spawn(health::serve(bound, liveness.clone(), shutdown.clone()));
    }
    let sweep = Sweep {
        store: store.clone(),
        queue: Arc::new(queue.clone()),
        redis: Some(queue.clone()),
        clock: clock.clone(),
        pulse: liveness.sweep.clone(),
    };
    let sweep_died = sweep.spawn(shutdown.clone());
    let provisioner = Provisioner::new(store, &svix, clock);
    let runner = Runner::new(provisioner, concurrency, liveness);

    tracing::info!(concurrency, "working");
    let drained = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        ended = runner.run_redis(&queue, shutdown.clone()) => {
            ended.context("the supervisor should start this process anew")?;
        }
        died = sweep_died => bail!("the sweep died: {died}"),
        () = drained => tracing::warn!("jobs left to the end of their leases"),
    }
    tracing::info!("stopped");
    Ok(())
}
