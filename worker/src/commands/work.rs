use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use shared::clock::Clock;
use shared::config::{
    Checker, ConfigError, DatabaseArgs, DatabaseConfig, HealthArgs, LogArgs, RedisClient, SvixArgs,
    WorkerArgs, check_certificates, check_redis,
};
use shared::queue::RedisQueue;
use shared::store::PostgresStore;
use shared::svix::SvixConfig;
use shared::telemetry::LogConfig;
use shared::{runtime, server, telemetry};
use worker::{Worker, health};

/// The flags of a worker that works.
#[derive(Debug, Args)]
pub struct WorkArgs {
    #[command(flatten)]
    worker: WorkerArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    svix: SvixArgs,
    #[command(flatten)]
    health: HealthArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// The settings of a worker that works.
struct WorkSettings {
    concurrency: usize,
    database: DatabaseConfig,
    redis: RedisClient,
    svix: SvixConfig,
    health: Option<SocketAddr>,
    log: LogConfig,
}

impl WorkArgs {
    fn settings(&self) -> Result<WorkSettings, ConfigError> {
        let mut checker = Checker::default();
        let log = self.log.check(&mut checker);
        let database = self.database.check(&mut checker);
        let redis = check_redis(&mut checker);
        let svix = self.svix.check(&mut checker);
        let concurrency = self.worker.check(&mut checker);
        let health = self.health.check(&mut checker);
        let certificates = check_certificates(&mut checker);
        checker.finish(|| {
            certificates?;
            Ok(WorkSettings {
                concurrency: concurrency?,
                database: database?,
                redis: redis?,
                svix: svix?,
                health: health?,
                log: log?,
            })
        })
    }
}

/// Works until a signal tells the process to stop.
pub async fn work(args: &WorkArgs) -> anyhow::Result<()> {
    let settings = args.settings()?;
    telemetry::init_buffered(settings.log);
    let shutdown = runtime::shutdown_on_signal()?;

    let clock = Clock::system();
    let store = Arc::new(PostgresStore::new(settings.database));
    let queue = Arc::new(RedisQueue::new(settings.redis, clock.clone())?);
    let concurrency = settings.concurrency;
    let worker = Worker::new(store, queue, &settings.svix, clock, concurrency);

    if let Some(address) = settings.health {
        let bound = server::bind(address).await;
        let bound = bound.with_context(|| format!("HEALTH_ADDR: cannot listen on {address}"))?;
        tokio::spawn(health::serve(bound, worker.liveness(), shutdown.clone()));
    }
    tracing::info!(concurrency, "working");
    worker
        .run(shutdown)
        .await
        .context("the worker stopped and must be restarted")?;
    tracing::info!("stopped");
    Ok(())
}
