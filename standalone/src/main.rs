//! The `standalone` binary: api and worker in one process, on a SQLite file and
//! an in-memory queue, with the Svix simulator unless `SVIX_TOKEN` is set.

mod banner;
mod demo;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use api::App;
use clap::Parser;
use shared::clock::Clock;
use shared::config::{
    CERTIFICATES_HELP, Checker, HttpArgs, LogArgs, Secret, SvixArgs, WorkerArgs, check_certificates,
};
use shared::queue::{MemoryQueue, nudge};
use shared::store::{SqliteStore, Store};
use shared::svix::SvixConfig;
use shared::{runtime, telemetry};
use standalone::svix_simulator::{Options, Simulator};
use worker::liveness::Liveness;
use worker::provision_webhook::Provisioner;
use worker::runner::Runner;
use worker::sweep::Sweep;

/// Partner API keys in one process: nothing else to install or start.
#[derive(Debug, Parser)]
#[command(name = "standalone", version, after_help = CERTIFICATES_HELP)]
struct Cli {
    /// Directory of the database; made if it is not there
    #[arg(long, env = "DATA_DIR", value_name = "DIR", default_value = "data")]
    data: PathBuf,
    #[command(flatten)]
    http: HttpArgs,
    #[command(flatten)]
    svix: SvixArgs,
    #[command(flatten)]
    worker: WorkerArgs,
    #[command(flatten)]
    log: LogArgs,
}

#[tokio::main]
async fn main() -> ExitCode {
    runtime::init();
    match run(&Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("standalone: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: &Cli) -> anyhow::Result<()> {
    let mut checker = Checker::default();
    let log = cli.log.check(&mut checker);
    let http = cli.http.check(&mut checker);
    let concurrency = cli.worker.check(&mut checker);
    let own_svix = cli.svix.is_set().then(|| cli.svix.check(&mut checker));
    check_certificates(&mut checker);
    let settings = log.zip(http).zip(concurrency);
    let ((log, mut http), concurrency) = checker.finish(settings)?;
    telemetry::init(log);
    let shutdown = runtime::shutdown_on_signal()?;

    let store = Arc::new(open_store(&cli.data).await?);
    let simulator = match own_svix {
        Some(_) => None,
        None => Some(start_simulator(&cli.data).await?),
    };
    let svix = own_svix
        .flatten()
        .or_else(|| simulator.as_ref().map(svix_of));
    let svix = svix.context("no Svix to talk to")?;

    let clock = Clock::system();
    let (queue, jobs) = MemoryQueue::new();
    let queue = Arc::new(queue);
    let (nudge, nudging) = nudge(queue.clone());
    tokio::spawn(nudging);
    let liveness = Liveness::watch();
    let sweep = Sweep {
        store: store.clone(),
        queue: queue.clone(),
        redis: None,
        clock: clock.clone(),
        pulse: liveness.sweep.clone(),
    };
    tokio::spawn(sweep.run(shutdown.clone()));
    let provisioner = Provisioner::new(store.clone(), &svix, clock);
    let runner = Runner::new(provisioner, concurrency, liveness);

    let listen = http.listen;
    http.login_url
        .get_or_insert_with(|| demo::SIGN_IN.to_owned());
    let app = App::new(store.clone(), queue, nudge, &svix, http);
    let bound = api::bind(listen).await;
    let bound = bound.with_context(|| format!("LISTEN_ADDR: cannot listen on {listen}"))?;
    let token = demo::issue_session(&*store).await?;
    banner::print(bound.address, &token, simulator.as_ref());
    tracing::info!(address = %bound.address, "listening on http://{}", bound.address);

    // Whichever ends first, for good or bad, ends the other.
    let serving = async {
        let served = bound.serve_with(app, demo::add_to, shutdown.clone()).await;
        shutdown.cancel();
        served.context("the HTTP server failed")
    };
    let working = async {
        let worked = runner.run_memory(jobs, shutdown.clone()).await;
        shutdown.cancel();
        worked.context("the worker failed")
    };
    let (served, worked) = tokio::join!(serving, working);
    served.and(worked)?;
    tracing::info!("stopped");
    Ok(())
}

async fn open_store(data: &Path) -> anyhow::Result<SqliteStore> {
    let refused = || format!("DATA_DIR: cannot keep the database in {}", data.display());
    std::fs::create_dir_all(data).with_context(refused)?;
    let store = SqliteStore::open(&data.join("partner-keys.db")).await;
    let store = store.with_context(refused)?;
    store.migrate().await.with_context(refused)?;
    Ok(store)
}

async fn start_simulator(data: &Path) -> anyhow::Result<Simulator> {
    let options = Options {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        // Kept beside the database, as each speaks of what is in the other.
        data: Some(data.join("svix-simulator.json")),
        ..Options::default()
    };
    Simulator::start(options)
        .await
        .context("the Svix simulator did not start")
}

fn svix_of(simulator: &Simulator) -> SvixConfig {
    SvixConfig {
        token: Secret::from("testsk_simulator".to_owned()),
        server_url: Some(simulator.url()),
    }
}
