use clap::Args;
use tracing_subscriber::EnvFilter;

use super::{Checker, Invalid};
use crate::telemetry::{LogConfig, LogFormat};

/// The flags of the log.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logs")]
pub struct LogArgs {
    /// Filter of log lines in tracing's syntax: info, debug, worker=debug,info [default: info]
    #[arg(long, env = "RUST_LOG", value_name = "FILTER", global = true)]
    pub rust_log: Option<String>,

    /// Format of log lines: human, or json for one object a line [default: human]
    #[arg(long, env = "LOG_FORMAT", value_name = "FORMAT", global = true)]
    pub log_format: Option<String>,
}

impl LogArgs {
    /// Checks the settings.
    pub fn check(&self, checker: &mut Checker) -> Result<LogConfig, Invalid> {
        let filter = checker
            .setting(
                "RUST_LOG",
                self.rust_log.as_deref(),
                "a tracing filter, for instance info or worker=debug,info",
            )
            .or_default(EnvFilter::new("info"), |text| EnvFilter::try_new(text).ok());
        let format = checker
            .setting("LOG_FORMAT", self.log_format.as_deref(), "human or json")
            .or_default(LogFormat::Human, |text| match text {
                "human" => Some(LogFormat::Human),
                "json" => Some(LogFormat::Json),
                _ => None,
            });
        Ok(LogConfig {
            filter: filter?,
            format: format?,
        })
    }
}
