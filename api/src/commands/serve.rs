use std::net::SocketAddr;
use std::sync::Arc;

use api::auth::Sessions;
use api::{App, Servers, health};
use clap::Args;
use shared::admin::{Admin, Scrape};
use shared::clock::Clock;
use shared::config::{
    AdminArgs, Checker, ConfigError, DatabaseArgs, DatabaseConfig, HttpArgs, HttpConfig,
    InternalArgs, InternalConfig, Invalid, LogArgs, RedisArgs, RedisConfig, SessionArgs,
    SessionConfig, SvixArgs, check_certificates, check_otlp,
};
use shared::metrics::{self, Part};
use shared::otlp::{self, OtlpConfig};
use shared::queue::{RedisQueue, nudge};
use shared::store::PostgresStore;
use shared::svix::SvixConfig;
use shared::telemetry::LogConfig;
use shared::{runtime, telemetry};

/// The flags of an api that serves.
#[derive(Debug, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    pub(super) http: HttpArgs,
    #[command(flatten)]
    pub(super) internal: InternalArgs,
    #[command(flatten)]
    admin: AdminArgs,
    #[command(flatten)]
    sessions: SessionArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    redis: RedisArgs,
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    svix: SvixArgs,
}

/// The settings of an api that serves.
struct ServeSettings {
    http: HttpConfig,
    internal: Option<InternalConfig>,
    admin: Option<SocketAddr>,
    sessions: SessionConfig,
    database: DatabaseConfig,
    redis: RedisConfig,
    svix: SvixConfig,
    log: LogConfig,
    otlp: Option<OtlpConfig>,
}

/// The result of the check of each setting.
pub(super) struct CheckedSettings {
    pub(super) http: Result<HttpConfig, Invalid>,
    pub(super) internal: Result<Option<InternalConfig>, Invalid>,
    pub(super) admin: Result<Option<SocketAddr>, Invalid>,
    pub(super) sessions: Result<SessionConfig, Invalid>,
    pub(super) database: Result<DatabaseConfig, Invalid>,
    pub(super) redis: Result<RedisConfig, Invalid>,
    pub(super) svix: Result<SvixConfig, Invalid>,
    pub(super) certificates: Result<(), Invalid>,
    log: Result<LogConfig, Invalid>,
    pub(super) otlp: Result<Option<OtlpConfig>, Invalid>,
}

impl ServeArgs {
    /// Checks each setting. The problems are in the checker.
    pub(super) fn check(&self, checker: &mut Checker) -> CheckedSettings {
        CheckedSettings {
            log: self.log.check(checker),
            database: self.database.check(checker),
            redis: self.redis.check(checker),
            svix: self.svix.check(checker),
            http: self.http.check(checker, self.internal.listeners()),
            internal: self.internal.check(checker),
            admin: self.admin.check(checker),
            sessions: self.sessions.check(checker),
            otlp: check_otlp(checker, "api"),
            certificates: check_certificates(checker),
        }
    }

    fn settings(&self) -> Result<ServeSettings, ConfigError> {
        let mut checker = Checker::default();
        let results = self.check(&mut checker);
        checker.finish(|| {
            results.certificates?;
            Ok(ServeSettings {
                http: results.http?,
                internal: results.internal?,
                admin: results.admin?,
                sessions: results.sessions?,
                database: results.database?,
                redis: results.redis?,
                svix: results.svix?,
                log: results.log?,
                otlp: results.otlp?,
            })
        })
    }
}

/// Serves until a signal tells the process to stop.
pub async fn serve(args: &ServeArgs) -> anyhow::Result<()> {
    let settings = args.settings()?;
    telemetry::init_buffered(settings.log, settings.otlp.as_ref())?;
    metrics::show(Part::Api);
    let shutdown = runtime::shutdown_on_signal()?;

    let clock = Clock::system();
    let store = Arc::new(PostgresStore::new(settings.database));
    let queue = Arc::new(RedisQueue::new(settings.redis, clock.clone()));
    let (nudge, send_nudges) = nudge(queue.clone());
    tokio::spawn(send_nudges);

    let listen = settings.http.listen;
    let sessions = Sessions::new(&settings.sessions, clock)?;
    let scrape = Scrape::new(store.clone(), Vec::new());
    otlp::export_metrics(&scrape);
    if let Some(address) = settings.admin {
        let admin = Admin {
            health: health::live,
            scrape,
        };
        admin.start(address, shutdown.clone())?;
    }
    let app = App::new(store, queue, nudge, &settings.svix, sessions, settings.http)?;
    let servers = Servers::bind(listen, settings.internal)?;
    let address = servers.public.address;
    tracing::info!(%address, "listening on http://{address}");
    api::serve(servers, app, |routes| routes, shutdown).await?;
    tracing::info!("stopped");
    Ok(())
}
