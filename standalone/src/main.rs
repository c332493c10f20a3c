//! The `standalone` binary: the api and a worker in one process, on a SQLite file and
//! an in-memory queue. Without `SVIX_TOKEN` it starts the Svix simulator too.

mod backup;
mod banner;
mod data_dir;
mod demo;
mod new_file;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use api::auth::Sessions;
use api::{App, Servers};
use backup::{BackupArgs, RestoreArgs, backup, restore};
use clap::{Args, Parser, Subcommand};
use data_dir::DataArgs;
use shared::admin::{Admin, Scrape};
use shared::clock::Clock;
use shared::config::{
    AdminArgs, CERTIFICATES_HELP, Checker, ConfigError, HttpArgs, HttpConfig, INTERNAL_HELP,
    InternalArgs, InternalConfig, LogArgs, OTLP_HELP, SVIX_HELP, SessionArgs, SessionConfig,
    SvixArgs, WorkerArgs, check_certificates, check_otlp, environment_help,
};
use shared::metrics::{self, Part};
use shared::otlp::{self, OtlpConfig};
use shared::queue::{MemoryQueue, nudge};
use shared::svix::SvixConfig;
use shared::telemetry::LogConfig;
use shared::{runtime, telemetry};
use svix_simulator::{Options, Simulator};
use worker::{Backlog, Worker, health};

/// Runs partner API keys in one process, with nothing else to install or start.
#[derive(Debug, Parser)]
#[command(name = "standalone", version = shared::VERSION, args_conflicts_with_subcommands = true)]
#[command(after_help = environment_help(&[SVIX_HELP, INTERNAL_HELP, CERTIFICATES_HELP, OTLP_HELP]))]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Writes a copy of the database to a file, also while the service runs
    Backup(BackupArgs),
    /// Puts a backup in the place of the database, while the service does not run
    Restore(RestoreArgs),
}

/// The flags of a service that runs.
#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    data: DataArgs,
    /// on or off: the sign-in to a demo account, for browsers on this machine
    /// [default: on with the simulator, off with a real Svix]
    #[arg(long, env = "DEMO", value_name = "MODE")]
    demo: Option<String>,
    #[command(flatten)]
    http: HttpArgs,
    #[command(flatten)]
    internal: InternalArgs,
    #[command(flatten)]
    admin: AdminArgs,
    #[command(flatten)]
    sessions: SessionArgs,
    #[command(flatten)]
    svix: SvixArgs,
    #[command(flatten)]
    worker: WorkerArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// The settings of the process.
struct Settings {
    http: HttpConfig,
    internal: Option<InternalConfig>,
    admin: Option<SocketAddr>,
    sessions: SessionConfig,
    /// None: start the simulator.
    svix: Option<SvixConfig>,
    /// Whether there is a sign-in to a demo account, if the sessions are the table's.
    demo: bool,
    concurrency: usize,
    log: LogConfig,
    otlp: Option<OtlpConfig>,
}

impl RunArgs {
    fn settings(&self) -> Result<Settings, ConfigError> {
        let mut checker = Checker::default();
        let log = self.log.check(&mut checker);
        let http = self.http.check(&mut checker, self.internal.listeners());
        let internal = self.internal.check(&mut checker);
        let admin = self.admin.check(&mut checker);
        let sessions = self.sessions.check(&mut checker);
        let concurrency = self.worker.check(&mut checker);
        let svix = self.svix.is_set().then(|| self.svix.check(&mut checker));
        let demo = checker.switch("DEMO", self.demo.as_deref(), !self.svix.is_set());
        if let (Ok(SessionConfig::Jwt(_)), Some("on")) = (&sessions, self.demo.as_deref()) {
            let expected = "off or no value, because the identity provider issues the sessions";
            checker.setting("DEMO", Some("on"), expected).report();
        }
        let otlp = check_otlp(&mut checker, "standalone");
        let certificates = check_certificates(&mut checker);
        checker.finish(|| {
            certificates?;
            Ok(Settings {
                http: http?,
                internal: internal?,
                admin: admin?,
                sessions: sessions?,
                svix: svix.transpose()?,
                demo: demo?,
                concurrency: concurrency?,
                log: log?,
                otlp: otlp?,
            })
        })
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    runtime::init();
    runtime::keep_files_private();
    let cli = Cli::parse();
    let done = match &cli.command {
        None => run(&cli.run).await,
        Some(Command::Backup(args)) => backup(args).await,
        Some(Command::Restore(args)) => restore(args).await,
    };
    telemetry::finish().await;
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("standalone: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &RunArgs) -> anyhow::Result<()> {
    let settings = args.settings()?;
    telemetry::init_buffered(settings.log, settings.otlp.as_ref())?;
    metrics::show(Part::Api);
    metrics::show(Part::Worker);
    let shutdown = runtime::shutdown_on_signal()?;

    let (store, _lock) = args.data.open_store().await?;
    let store = Arc::new(store);
    let (svix, simulator) = match settings.svix {
        Some(svix) => (svix, None),
        None => start_simulator(&args.data).await?,
    };
    let clock = Clock::system();
    let queue = Arc::new(MemoryQueue::new());
    let (nudge, send_nudges) = nudge(queue.clone());
    tokio::spawn(send_nudges);
    let worker = Worker::new(
        store.clone(),
        queue.clone(),
        &svix,
        clock.clone(),
        settings.concurrency,
    );

    let backlog = Backlog {
        store: store.clone(),
        queue: queue.clone(),
        clock: clock.clone(),
    };
    let scrape = Scrape::new(store.clone(), vec![Box::new(backlog)]);
    otlp::export_metrics(&scrape);
    if let Some(address) = settings.admin {
        let admin = Admin {
            health: health::endpoint(worker.liveness()),
            scrape,
        };
        admin.start(address, shutdown.clone())?;
    }
    let mut http = settings.http;
    let sessions = Sessions::new(&settings.sessions, clock)?;
    let token = match sessions {
        Sessions::Table if settings.demo => Some(demo::issue_session(&*store).await?),
        // The platform's login, or the identity provider, issues the sessions.
        Sessions::Table | Sessions::Jwt(_) => None,
    };
    let has_demo = token.is_some();
    if has_demo {
        http.login_url
            .get_or_insert_with(|| demo::SIGN_IN.to_owned());
    }
    let (listen, has_docs) = (http.listen, http.docs);
    let app = App::new(store.clone(), queue, nudge, &svix, sessions, http)?;
    let servers = Servers::bind(listen, settings.internal)?;
    let address = servers.public.address;
    banner::print(address, token.as_ref(), simulator.as_ref(), has_docs);
    tracing::info!(%address, "listening on http://{address}");

    // Whichever of the two ends first also ends the other.
    let serving = async {
        let add_demo = |routes| {
            if has_demo {
                demo::add_to(routes)
            } else {
                routes
            }
        };
        let done = api::serve(servers, app, add_demo, shutdown.clone()).await;
        shutdown.cancel();
        done.context("the HTTP server failed")
    };
    let working = async {
        let done = worker.run(shutdown.clone()).await;
        shutdown.cancel();
        done.context("the worker failed")
    };
    let (server_done, worker_done) = tokio::join!(serving, working);
    store.close().await;
    server_done.and(worker_done)?;
    tracing::info!("stopped");
    Ok(())
}

/// Starts the Svix simulator. Returns the settings that lead to it.
async fn start_simulator(data: &DataArgs) -> anyhow::Result<(SvixConfig, Option<Simulator>)> {
    let options = Options {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        data: Some(data.simulator()),
        ..Options::default()
    };
    let simulator = Simulator::start(options)
        .await
        .context("the Svix simulator did not start")?;
    let svix = SvixConfig {
        token: "testsk_simulator".into(),
        server_url: Some(simulator.url()),
        uid_prefix: String::new(),
    };
    Ok((svix, Some(simulator)))
}
