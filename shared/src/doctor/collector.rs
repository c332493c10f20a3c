use reqwest::StatusCode;
use tokio::time::{Instant, timeout};

use super::steps::LIMIT;
use super::{Finding, look_up};
use crate::otlp::{self, OtlpConfig, SendError};

const NAME: &str = "collector.name";
const EXPORT: &str = "collector.export";

/// Checks that the OTLP collector takes what is sent, if there is one. Whatever is wrong is a
/// warning: the service works without it.
pub(super) async fn check(config: Option<&OtlpConfig>) -> Vec<Finding> {
    let Some(config) = config.filter(|config| config.traces || config.metrics) else {
        return Vec::new();
    };
    let host = config.endpoint.host_str().unwrap_or_default();
    let (name, addresses) = look_up(NAME, host).await;
    let export = if addresses.is_empty() {
        Finding::skipped(EXPORT, "the collector's name was not found")
    } else {
        check_export(config, host).await
    };
    vec![name.at_most_warning(), export]
}

/// Makes a real export, which is empty.
async fn check_export(config: &OtlpConfig, host: &str) -> Finding {
    let started = Instant::now();
    let (message, fix) = match timeout(LIMIT, otlp::try_exports(config)).await {
        Ok(Ok(signals)) => {
            let (signals, took) = (signals.join(" and "), started.elapsed().as_millis());
            let message = format!("{host} takes {signals}, within {took} ms");
            return Finding::ok(EXPORT, message);
        }
        Ok(Err((signal, error))) => (format!("{host}: {signal}: {error}"), remedy(&error)),
        Err(_) => (
            format!("{host}: no answer within {LIMIT:?}"),
            UNREACHABLE_FIX,
        ),
    };
    Finding::warning(EXPORT, message, fix)
}

const UNREACHABLE_FIX: &str = "start the collector, allow connections from this machine to it, or \
     correct OTEL_EXPORTER_OTLP_ENDPOINT: OTLP over HTTP mostly has the port 4318, and 4317 is gRPC; \
     traces and metrics are dropped until then";

fn remedy(error: &SendError) -> &'static str {
    match error {
        SendError::NoAnswer(_) => UNREACHABLE_FIX,
        SendError::Status(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            "correct the credentials in OTEL_EXPORTER_OTLP_HEADERS"
        }
        SendError::Status(StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) => {
            "let OTEL_EXPORTER_OTLP_ENDPOINT be the URL below which the collector has /v1/traces and \
             /v1/metrics; set OTEL_TRACES_EXPORTER or OTEL_METRICS_EXPORTER to none if it takes only \
             the other"
        }
        SendError::Status(_) => "look at the log of the collector",
    }
}
