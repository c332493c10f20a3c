//! Logs, by `tracing`, to standard error: standard output is for what a command
//! was asked to print.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// What is logged, and how.
#[derive(Debug)]
pub struct LogConfig {
    /// The look of a line.
    pub format: LogFormat,
    /// What is let through.
    pub filter: EnvFilter,
}

/// What libraries may say, whatever `RUST_LOG` asks for: nothing at `trace`. That
/// is where HTTP, TLS and Redis clients write what goes over the wire, and
/// credentials are on it. Our own crates are heard at any level.
fn libraries_capped() -> Targets {
    let ours = ["api", "shared", "standalone", "worker"];
    Targets::new()
        .with_default(LevelFilter::DEBUG)
        .with_targets(ours.map(|name| (name, LevelFilter::TRACE)))
}

/// Starts logging, panics included.
pub fn init(config: LogConfig) {
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match config.format {
        LogFormat::Human => {
            let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
            Box::new(lines.with_ansi(colours))
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
        tracing::error!(panic = %panic, "a defect: something panicked");
    }));
}
