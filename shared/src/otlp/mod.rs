//! Sends traces and metrics to a collector, by OpenTelemetry's protocol (OTLP) over HTTP.
//!
//! Without `OTEL_EXPORTER_OTLP_ENDPOINT` nothing here runs. A collector that is down, slow or
//! refuses costs the service nothing: a request puts its spans into a bounded queue, or drops
//! them. A thread of the SDK sends traces, a task of ours sends metrics, and both get a
//! moment at the end of the process for what is left.

mod metrics;
mod sampler;
mod sender;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider,
};
use reqwest::header::HeaderMap;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use url::Url;

use self::sampler::RequestsAndJobs;
pub(crate) use self::sender::SendError;
use self::sender::{Sender, Signal};
use crate::admin::Scrape;
use crate::runtime;

/// The longest time in which what is left is sent at the end of the process.
const LONGEST_END: Duration = Duration::from_secs(2);
/// The shortest such time, however long the process has been stopping.
const SHORTEST_END: Duration = Duration::from_millis(400);
/// The time after the signal to stop at which nothing more is sent: an orchestrator gives an
/// api 10 s.
const END_AFTER_SIGNAL: Duration = Duration::from_millis(9_500);

/// The number of spans that are sent together.
const BATCH: usize = 512;

/// The settings of the export.
#[derive(Debug)]
pub struct OtlpConfig {
    /// The collector's base URL. `/v1/traces` and `/v1/metrics` are below it.
    pub endpoint: Url,
    /// Headers for the collector, which are secret.
    pub headers: HeaderMap,
    /// The time limit of one export.
    pub timeout: Duration,
    /// Whether traces are sent.
    pub traces: bool,
    /// Whether metrics are sent.
    pub metrics: bool,
    /// The traces that are sent.
    pub sampler: Sampler,
    /// The attributes of this process, `service.name` among them.
    pub resource: Vec<(String, String)>,
    /// The time between two exports of traces.
    pub traces_every: Duration,
    /// The number of spans that wait for their export. Further ones are dropped.
    pub max_spans: usize,
    /// The time between two exports of metrics.
    pub metrics_every: Duration,
}

/// The export could not start.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// There is no HTTP client, because the CA certificates are unusable.
    #[error("could not create the HTTP client for the OTLP collector: {0}")]
    Client(#[from] reqwest::Error),
    /// The SDK refuses a setting that we do not check.
    #[error("OTEL_EXPORTER_OTLP_…: {0}")]
    Sdk(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// What runs.
struct Running {
    traces: Option<SdkTracerProvider>,
    /// Sends metrics, once there is something to ask for them.
    metrics: Option<(Sender, Duration)>,
    resource: Resource,
    task: Option<JoinHandle<()>>,
    stop: CancellationToken,
}

static RUNNING: Mutex<Option<Running>> = Mutex::new(None);

fn with_running<T>(act: impl FnOnce(&mut Option<Running>) -> T) -> T {
    act(&mut RUNNING.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Makes an export without content for each signal that is wanted. Returns their names. An error
/// has the name of its signal.
pub(crate) async fn try_exports(
    config: &OtlpConfig,
) -> Result<Vec<&'static str>, (&'static str, SendError)> {
    let wanted = [
        (config.traces, Signal::Traces),
        (config.metrics, Signal::Metrics),
    ];
    let mut sent = Vec::new();
    for (_, signal) in wanted.into_iter().filter(|(is_wanted, _)| *is_wanted) {
        let name = signal.as_str();
        let sender = Sender::new(config, signal).map_err(|error| (name, error.into()))?;
        sender.send_empty().await.map_err(|error| (name, error))?;
        sent.push(name);
    }
    Ok(sent)
}

/// Starts the export. Returns the tracer whose spans are sent, unless no traces are wanted.
/// Call it within a runtime, on which the requests to the collector run.
pub fn start(config: &OtlpConfig) -> Result<Option<SdkTracer>, OtlpError> {
    let resource = resource(&config.resource);
    let provider = config.traces.then(|| provider(config, &resource));
    let provider = provider.transpose()?;
    let metrics = config.metrics.then(|| Sender::new(config, Signal::Metrics));
    let metrics = metrics.transpose()?;
    let tracer = provider
        .as_ref()
        .map(|provider| provider.tracer("partner-keys"));
    with_running(|running| {
        *running = Some(Running {
            traces: provider,
            metrics: metrics.map(|sender| (sender, config.metrics_every)),
            resource,
            task: None,
            stop: CancellationToken::new(),
        });
    });
    Ok(tracer)
}

/// Sends the metrics from now on, if metrics are sent. Whatever must be asked for is asked
/// through `scrape`.
pub fn export_metrics(scrape: &Arc<Scrape>) {
    with_running(|running| {
        let Some(running) = running else { return };
        if let Some((sender, every)) = running.metrics.take() {
            let (stop, resource) = (running.stop.clone(), metrics::resource(&running.resource));
            let sending = metrics::send(sender, resource, Arc::clone(scrape), every, stop);
            running.task = Some(tokio::spawn(sending));
        }
    });
}

/// Sends what is left, if the collector takes it soon. Nothing is sent afterwards.
pub async fn finish() {
    let Some(running) = with_running(Option::take) else {
        return;
    };
    let left = END_AFTER_SIGNAL.saturating_sub(runtime::stopping_for());
    let end = left.clamp(SHORTEST_END, LONGEST_END);
    let Running {
        traces, task, stop, ..
    } = running;
    stop.cancel();
    let traces = async {
        if let Some(provider) = traces {
            // Its outcome was logged where it is sent.
            let sent = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(end));
            drop(sent.await);
        }
    };
    let metrics = async {
        if let Some(task) = task {
            drop(timeout(end, task).await);
        }
    };
    tokio::join!(traces, metrics);
}

fn resource(attributes: &[(String, String)]) -> Resource {
    let attributes = attributes
        .iter()
        .map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes(attributes)
        .build()
}

fn provider(config: &OtlpConfig, resource: &Resource) -> Result<SdkTracerProvider, OtlpError> {
    let sender = Sender::new(config, Signal::Traces)?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(sender.url())
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(config.timeout)
        .with_http_client(sender)
        .build()?;
    let batches = BatchConfigBuilder::default()
        .with_scheduled_delay(config.traces_every)
        .with_max_queue_size(config.max_spans)
        .with_max_export_batch_size(BATCH.min(config.max_spans))
        .build();
    let processor = BatchSpanProcessor::builder(exporter)
        .with_batch_config(batches)
        .build();
    Ok(SdkTracerProvider::builder()
        .with_span_processor(processor)
        .with_sampler(RequestsAndJobs(config.sampler.clone()))
        .with_resource(resource.clone())
        .build())
}
