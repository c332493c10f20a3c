//! The `standalone` binary: api and worker in one process, on a SQLite file and
//! an in-memory queue, with the Svix simulator unless `SVIX_TOKEN` is set.

mod banner;
mod demo;

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use api::App;
use api::auth::Sessions;
use clap::Parser;
use shared::clock::Clock;
use shared::config::{
    CERTIFICATES_HELP, Checker, HttpArgs, LogArgs, Secret, SessionArgs, SvixArgs, WorkerArgs,
    check_certificates,
};
use shared::queue::{MemoryQueue, nudge};
use shared::store::{SqliteStore, Store};
use shared::svix::SvixConfig;
use shared::{runtime, telemetry};
use svix_simulator::{Options, Simulator};
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
    sessions: SessionArgs,
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
    let sessions = cli.sessions.check(&mut checker);
    let concurrency = cli.worker.check(&mut checker);
    let own_svix = cli.svix.is_set().then(|| cli.svix.check(&mut checker));
    check_certificates(&mut checker);
    let settings = log.zip(http.zip(sessions)).zip(concurrency);
    let ((log, (mut http, sessions)), concurrency) = checker.finish(settings)?;
    telemetry::init(log);
    let shutdown = runtime::shutdown_on_signal()?;

    let (store, _lock) = open_store(&cli.data).await?;
    let store = Arc::new(store);
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
    let sweep_died = sweep.spawn(shutdown.clone());
    let provisioner = Provisioner::new(store.clone(), &svix, clock.clone());
    let runner = Runner::new(provisioner, concurrency, liveness);

    let listen = http.listen;
    let sessions = Sessions::new(&sessions, clock)?;
    let token = match sessions {
        Sessions::Table => Some(demo::issue_session(&*store).await?),
        Sessions::Jwt(_) => None, // its sessions are the provider's to give
    };
    let has_demo = token.is_some();
    if has_demo {
        http.login_url
            .get_or_insert_with(|| demo::SIGN_IN.to_owned());
    }
    let app = App::new(store.clone(), queue, nudge, &svix, sessions, http);
    let bound = api::bind(listen).await;
    let bound = bound.with_context(|| format!("LISTEN_ADDR: cannot listen on {listen}"))?;
    banner::print(bound.address, token.as_ref(), simulator.as_ref());
    tracing::info!(address = %bound.address, "listening on http://{}", bound.address);

    // Whichever ends first, for good or bad, ends the other.
    let serving = async {
        let add_demo = |routes| {
            if has_demo {
                demo::add_to(routes)
            } else {
                routes
            }
        };
        let served = bound.serve_with(app, add_demo, shutdown.clone()).await;
        shutdown.cancel();
        served.context("the HTTP server failed")
    };
    let working = async {
        let worked = runner.run_memory(jobs, shutdown.clone()).await;
        shutdown.cancel();
        worked.context("the worker failed")
    };
    let both = async { tokio::join!(serving, working) };
    let (served, worked) = tokio::select! {
        ended = both => ended,
        died = sweep_died => bail!("the sweep died: {died}"),
    };
    served.and(worked)?;
    tracing::info!("stopped");
    Ok(())
}

/// Opens the database, and holds its directory for this process alone.
async fn open_store(data: &Path) -> anyhow::Result<(SqliteStore, File)> {
    let refused = || format!("DATA_DIR: cannot keep the database in {}", data.display());
    std::fs::create_dir_all(data).with_context(refused)?;
    let lock = File::create(data.join("lock")).with_context(refused)?;
    let in_use = || format!("DATA_DIR: {} is another standalone's", data.display());
    lock.try_lock().with_context(in_use)?;
    let store = SqliteStore::open(&data.join("partner-keys.db")).await;
    let store = store.with_context(refused)?;
    store.migrate().await.with_context(refused)?;
    Ok((store, lock))
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
