//! Logs, written by `tracing` to standard error. Standard output is for the results
//! of commands.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Human,
    /// One JSON object for each line.
    Json,
}

/// The settings of the log.
#[derive(Debug)]
pub struct LogConfig {
    /// The format of a line.
    pub format: LogFormat,
    /// The filter that decides which events are logged.
    pub filter: EnvFilter,
}

/// Returns a filter that drops the `trace` events of libraries, whatever `RUST_LOG`
/// says. HTTP, TLS and Redis clients log there what goes over the wire, including
/// credentials. Events of our own crates pass at any level.
fn libraries_capped() -> Targets {
    let ours = ["api", "shared", "standalone", "svix_simulator", "worker"];
    Targets::new()
        .with_default(LevelFilter::DEBUG)
        .with_targets(ours.map(|name| (name, LevelFilter::TRACE)))
}

/// Starts the log. Panics are logged too.
pub fn init(config: LogConfig) {
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match config.format {
        LogFormat::Human => {
            let has_colors = std::io::IsTerminal::is_terminal(&std::io::stderr());
            Box::new(lines.with_ansi(has_colors))
                as Box<dyn tracing_subscriber::Layer<_> + Send + Sync>
        }
        LogFormat::Json => Box::new(lines.json().flatten_event(true)),
    };
    tracing_subscriber::registry()
        .with(config.filter)
        .with(libraries_capped())
        .with(lines)
        .init();

    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(panic = %panic, "the process panicked; this is a defect");
    }));
}
