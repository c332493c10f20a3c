use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use shared::admin::{Admin, Scrape};
use shared::clock::Clock;
use shared::config::{
    AdminArgs, Checker, ConfigError, DatabaseArgs, DatabaseConfig, Invalid, LogArgs, RedisArgs,
    RedisConfig, SvixArgs, WorkerArgs, check_certificates, check_otlp,
};
use shared::metrics::{self, Part};
use shared::otlp::{self, OtlpConfig};
use shared::queue::RedisQueue;
use shared::store::PostgresStore;
use shared::svix::SvixConfig;
use shared::telemetry::LogConfig;
use shared::{runtime, telemetry};
use worker::{Backlog, Worker, health};

/// The flags of a worker that works.
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
    admin: AdminArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// The settings of a worker that works.
struct WorkSettings {
    concurrency: usize,
    database: DatabaseConfig,
    redis: RedisConfig,
    svix: SvixConfig,
    admin: Option<SocketAddr>,
    log: LogConfig,
    otlp: Option<OtlpConfig>,
}

/// The result of the check of each setting.
pub(super) struct CheckedSettings {
    pub(super) concurrency: Result<usize, Invalid>,
    pub(super) database: Result<DatabaseConfig, Invalid>,
    pub(super) redis: Result<RedisConfig, Invalid>,
    pub(super) svix: Result<SvixConfig, Invalid>,
    pub(super) admin: Result<Option<SocketAddr>, Invalid>,
    pub(super) certificates: Result<(), Invalid>,
    log: Result<LogConfig, Invalid>,
    pub(super) otlp: Result<Option<OtlpConfig>, Invalid>,
}

impl WorkArgs {
    /// Checks each setting. The problems are in the checker.
    pub(super) fn check(&self, checker: &mut Checker) -> CheckedSettings {
        CheckedSettings {
            log: self.log.check(checker),
            database: self.database.check(checker),
            redis: self.redis.check(checker),
            svix: self.svix.check(checker),
            concurrency: self.worker.check(checker),
            admin: self.admin.check(checker),
            otlp: check_otlp(checker, "worker"),
            certificates: check_certificates(checker),
        }
    }

    fn settings(&self) -> Result<WorkSettings, ConfigError> {
        let mut checker = Checker::default();
        let results = self.check(&mut checker);
        checker.finish(|| {
            results.certificates?;
            Ok(WorkSettings {
                concurrency: results.concurrency?,
                database: results.database?,
                redis: results.redis?,
                svix: results.svix?,
                admin: results.admin?,
                log: results.log?,
                otlp: results.otlp?,
            })
        })
    }
}

/// Works until a signal tells the process to stop.
pub async fn work(args: &WorkArgs) -> anyhow::Result<()> {
    let settings = args.settings()?;
    telemetry::init_buffered(settings.log, settings.otlp.as_ref())?;
    metrics::show(Part::Worker);
    let shutdown = runtime::shutdown_on_signal()?;

    let clock = Clock::system();
    let store = Arc::new(PostgresStore::new(settings.database));
    let queue = Arc::new(RedisQueue::new(settings.redis, clock.clone()));
    let concurrency = settings.concurrency;
    let backlog = Backlog {
        store: store.clone(),
        queue: queue.clone(),
        clock: clock.clone(),
    };
    let worker = Worker::new(store.clone(), queue, &settings.svix, clock, concurrency);

    let scrape = Scrape::new(store, vec![Box::new(backlog)]);
    otlp::export_metrics(&scrape);
    if let Some(address) = settings.admin {
        let admin = Admin {
            health: health::endpoint(worker.liveness()),
            scrape,
        };
        admin.start(address, shutdown.clone())?;
    }
    tracing::info!(concurrency, "working");
    worker
        .run(shutdown)
        .await
        .context("the worker stopped and must be restarted")?;
    tracing::info!("stopped");
    Ok(())
}
