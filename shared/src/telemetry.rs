//! Logs, written by `tracing` to standard error. Standard output is for the results
//! of commands.

mod human_line;
mod json_line;
mod subject;
#[cfg(test)]
mod test_lines;

use std::io::{self, BufWriter, Stderr, Write};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry_sdk::trace::SdkTracer;
use tracing::Subscriber;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{FilterExt, LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use self::human_line::HumanLine;
use self::json_line::JsonLine;
use crate::otlp::{self, OtlpConfig, OtlpError};
use crate::trace;

pub use self::subject::{Subject, about, current};

/// The size of the buffer for lines, in bytes: some two hundred lines.
const BUFFER: usize = 64 * 1024;

/// The number of lines that may wait for the writing thread. Beyond it, whoever logs waits.
const WAITING_LINES: usize = 4096;

/// The time for which lines are gathered while there are many. Without it, the thread would
/// be woken for each line, which costs more than the line.
const GATHER: Duration = Duration::from_millis(10);

/// There are many lines if the thread writes this often, with less than [`SOON`] in between.
const MANY: u32 = 10;

/// The time between two writes, below which they count as many.
const SOON: Duration = Duration::from_millis(1);

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
/// credentials. Events of our own crates pass at any level. Spans for a collector are not
/// for the log, nor are PostgreSQL's notices: a `ROLLBACK` to be safe warns that there was
/// nothing to roll back.
fn libraries_capped() -> Targets {
    let ours = ["api", "shared", "standalone", "svix_simulator", "worker"];
    Targets::new()
        .with_default(LevelFilter::DEBUG)
        .with_targets(ours.map(|name| (name, LevelFilter::TRACE)))
        .with_target(trace::TARGET, LevelFilter::OFF)
        .with_target("sqlx::postgres::notice", LevelFilter::ERROR)
}

/// The thread that writes the lines of a process which serves or works.
static WRITER: Mutex<Option<WorkerGuard>> = Mutex::new(None);

/// Starts the log of a command. Each line is written at once, so that it stands before
/// what the command says afterwards.
pub fn init(config: LogConfig) {
    start(config, io::stderr, None);
}

/// Starts the log of a process that serves or works, and the export of its traces. A thread
/// writes the lines, as many at a time as there are, so that no request waits for it. Call
/// [`finish`] at the end.
pub fn init_buffered(config: LogConfig, otlp: Option<&OtlpConfig>) -> Result<(), OtlpError> {
    let tracer = otlp.map(otlp::start).transpose()?.flatten();
    let (lines, guard) = NonBlockingBuilder::default()
        .lossy(false)
        .buffered_lines_limit(WAITING_LINES)
        .finish(Gathering {
            lines: BufWriter::with_capacity(BUFFER, io::stderr()),
            last_written: Instant::now(),
            in_a_row: 0,
        });
    *WRITER.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
    start(config, lines, tracer);
    Ok(())
}

/// Sends what is left to the collector, if there is one, and writes all lines that were
/// logged. Nothing can be logged afterwards.
pub async fn finish() {
    otlp::finish().await;
    flush();
}

/// The writer of the thread, which flushes when no more lines are waiting.
struct Gathering {
    lines: BufWriter<Stderr>,
    last_written: Instant,
    /// The number of writes soon after each other.
    in_a_row: u32,
}

impl Write for Gathering {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lines.write(bytes)
    }

    /// Writes the lines and, if there are many, lets others gather.
    fn flush(&mut self) -> io::Result<()> {
        self.lines.flush()?;
        if self.last_written.elapsed() < SOON {
            self.in_a_row = self.in_a_row.saturating_add(1);
        } else {
            self.in_a_row = 0;
        }
        if self.in_a_row >= MANY {
            thread::sleep(GATHER);
        }
        self.last_written = Instant::now();
        Ok(())
    }
}

/// Writes all lines that were logged. Nothing can be logged afterwards.
pub fn flush() {
    drop(WRITER.lock().unwrap_or_else(PoisonError::into_inner).take());
}

fn start<W>(config: LogConfig, writer: W, tracer: Option<SdkTracer>)
where
    W: for<'a> fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    let LogConfig { format, filter } = config;
    if let Some(tracer) = tracer {
        // The filter is the log's alone: traces do not depend on it.
        let filter = filter.and(libraries_capped());
        tracing_subscriber::registry()
            .with(lines(format, writer).with_filter(filter))
            .with(exported_spans(tracer))
            .init();
    } else {
        // The filter is everybody's: what is not logged costs nothing.
        tracing_subscriber::registry()
            .with(filter)
            .with(libraries_capped())
            .with(lines(format, writer))
            .init();
    }

    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(panic = %panic, "the process panicked; this is a defect");
        // Only this thread's panic ends the process.
        if std::thread::current().name() == Some("main") {
            flush();
        }
    }));
}

/// Returns the layer that writes the lines.
fn lines<S, W>(format: LogFormat, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(writer);
    match format {
        LogFormat::Human => {
            let has_colors = io::IsTerminal::is_terminal(&io::stderr());
            let format = fmt::format().with_ansi(has_colors);
            Box::new(lines.with_ansi(has_colors).event_format(HumanLine(format)))
        }
        LogFormat::Json => Box::new(lines.with_ansi(false).event_format(JsonLine)),
    }
}

/// Returns the layer that exports the spans of [`trace::TARGET`], with the attributes that
/// they have in the code, and nothing else.
fn exported_spans<S>(tracer: SdkTracer) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_level(false)
        .with_tracked_inactivity(false)
        .with_filter(Targets::new().with_target(trace::TARGET, LevelFilter::INFO))
}
