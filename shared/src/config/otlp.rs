//! The settings of the export to a collector. They are OpenTelemetry's standard variables,
//! so that they have no flags: whoever deploys sets them for all programs alike.

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry_sdk::trace::Sampler;
use percent_encoding::percent_decode_str;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::Url;
use uuid::Uuid;

use super::secret::{read_secret, value};
use super::url::is_plain;
use super::{Checker, Invalid};
use crate::otlp::OtlpConfig;

/// The part of `--help` about the collector.
pub const OTLP_HELP: &str = "\
  OTEL_EXPORTER_OTLP_ENDPOINT  URL of an OTLP collector that gets traces and metrics over HTTP, for instance http://localhost:4318 [default: none]
  OTEL_EXPORTER_OTLP_HEADERS   Headers for the collector, name=value separated by commas; or their file: OTEL_EXPORTER_OTLP_HEADERS_FILE
  OTEL_EXPORTER_OTLP_PROTOCOL  http/protobuf, which is the only protocol
  OTEL_EXPORTER_OTLP_TIMEOUT   Time limit of an export, in milliseconds [default: 10000]
  OTEL_SDK_DISABLED            true: nothing is exported [default: false]
  OTEL_SERVICE_NAME            Name of this service [default: partner-keys-api, -worker or -standalone]
  OTEL_RESOURCE_ATTRIBUTES     Attributes of this process, name=value separated by commas
  OTEL_TRACES_EXPORTER         otlp, or none for no traces [default: otlp]
  OTEL_METRICS_EXPORTER        otlp, or none for no metrics [default: otlp]
  OTEL_TRACES_SAMPLER          always_on, always_off, traceidratio, or parentbased_ and one of them [default: parentbased_always_on]
  OTEL_TRACES_SAMPLER_ARG      Share of the traces for traceidratio, 0 to 1 [default: 1]
  OTEL_BSP_SCHEDULE_DELAY      Time between two exports of traces, in milliseconds [default: 5000]
  OTEL_BSP_MAX_QUEUE_SIZE      Spans that wait for their export; further ones are dropped [default: 2048]
  OTEL_METRIC_EXPORT_INTERVAL  Time between two exports of metrics, in milliseconds [default: 60000]";

/// The largest number of spans that may wait. Each takes about a kilobyte.
const MAX_SPANS: usize = 100_000;

/// Reads variables, and reports those that are invalid.
struct Variables<'a>(&'a mut Checker);

impl Variables<'_> {
    fn read<T>(
        &mut self,
        variable: &'static str,
        expected: &'static str,
        default: T,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Invalid> {
        let given = value(variable);
        let setting = self.0.setting(variable, given.as_deref(), expected);
        setting.or_default(default, parse)
    }

    fn millis(&mut self, variable: &'static str, default: u64) -> Result<Duration, Invalid> {
        let expected = "a number of milliseconds, 1 to 3600000";
        let millis = self.read(variable, expected, default, |text| {
            text.parse().ok().filter(|n| (1..=3_600_000).contains(n))
        });
        millis.map(Duration::from_millis)
    }

    /// Reads whether a signal is exported.
    fn exporter(&mut self, variable: &'static str) -> Result<bool, Invalid> {
        self.read(variable, "otlp or none", true, |text| match text {
            "otlp" => Some(true),
            "none" => Some(false),
            _ => None,
        })
    }
}

/// Checks the settings of the export. Returns `None` if nothing is exported; then the other
/// variables are not looked at. `service` is the name of this program.
pub fn check_otlp(
    checker: &mut Checker,
    service: &'static str,
) -> Result<Option<OtlpConfig>, Invalid> {
    let Some(endpoint) = value("OTEL_EXPORTER_OTLP_ENDPOINT") else {
        return Ok(None);
    };
    let is_disabled =
        Variables(checker).read("OTEL_SDK_DISABLED", "true or false", false, |text| {
            text.to_ascii_lowercase().parse().ok()
        });
    if is_disabled == Ok(true) {
        return Ok(None);
    }
    let expected = "an http:// or https:// URL without user, query or fragment, for instance \
                    http://localhost:4318";
    let endpoint = checker
        .setting("OTEL_EXPORTER_OTLP_ENDPOINT", Some(&endpoint), expected)
        .hidden()
        .required(base_url);
    let secret = read_secret(checker, "OTEL_EXPORTER_OTLP_HEADERS");
    let headers = secret.and_then(|given| {
        let expected = "headers, name=value separated by commas, with % and two hex digits for \
                        what a header or this list does not allow";
        let setting = checker.secret("OTEL_EXPORTER_OTLP_HEADERS", given.as_ref(), expected);
        setting.or_default(HeaderMap::new(), headers)
    });
    let mut read = Variables(checker);
    // The SDK would refuse them with an error of its own.
    let protocol = read.read(
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "http/protobuf, which is all there is",
        (),
        |text| (text == "http/protobuf").then_some(()),
    );
    let compression = read.read(
        "OTEL_EXPORTER_OTLP_COMPRESSION",
        "none, which is all there is",
        (),
        |text| (text == "none").then_some(()),
    );
    let timeout = read.millis("OTEL_EXPORTER_OTLP_TIMEOUT", 10_000);
    let traces = read.exporter("OTEL_TRACES_EXPORTER");
    let metrics = read.exporter("OTEL_METRICS_EXPORTER");
    let ratio = read.read(
        "OTEL_TRACES_SAMPLER_ARG",
        "a number from 0 to 1",
        1.0,
        |text| {
            text.parse()
                .ok()
                .filter(|ratio| (0.0..=1.0).contains(ratio))
        },
    );
    let expected = "always_on, always_off, traceidratio, or parentbased_ and one of them";
    let default = Sampler::ParentBased(Box::new(Sampler::AlwaysOn));
    let sampler = read.read("OTEL_TRACES_SAMPLER", expected, default, |text| {
        sampler(text, ratio.unwrap_or(1.0))
    });
    let traces_every = read.millis("OTEL_BSP_SCHEDULE_DELAY", 5_000);
    let expected = "a whole number, 1 to 100000";
    let max_spans = read.read("OTEL_BSP_MAX_QUEUE_SIZE", expected, 2048, |text| {
        text.parse().ok().filter(|n| (1..=MAX_SPANS).contains(n))
    });
    let metrics_every = read.millis("OTEL_METRIC_EXPORT_INTERVAL", 60_000);
    let expected = "attributes, name=value separated by commas, with % and two hex digits for \
                    other characters";
    let attributes = read.read("OTEL_RESOURCE_ATTRIBUTES", expected, Vec::new(), pairs);
    let name = value("OTEL_SERVICE_NAME");
    protocol?;
    compression?;
    ratio?;
    Ok(Some(OtlpConfig {
        endpoint: endpoint?,
        headers: headers?,
        timeout: timeout?,
        traces: traces?,
        metrics: metrics?,
        sampler: sampler?,
        resource: resource(service, attributes?, name),
        traces_every: traces_every?,
        max_spans: max_spans?,
        metrics_every: metrics_every?,
    }))
}

/// Parses the collector's base URL. In Kubernetes it is often plain http to a collector on
/// the same node, so that http is allowed.
fn base_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    (is_web && is_plain(&url) && url.query().is_none()).then_some(url)
}

/// Parses `name=value,…`, whose values are percent-encoded.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        let value = percent_decode_str(value).decode_utf8().ok()?;
        (!name.is_empty()).then(|| (name.to_owned(), value.into_owned()))
    };
    let pairs = text
        .split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty());
    pairs.map(pair).collect()
}

fn headers(text: &str) -> Option<HeaderMap> {
    let header = |(name, value): (String, String)| {
        let mut value = HeaderValue::try_from(value).ok()?;
        value.set_sensitive(true);
        Some((HeaderName::try_from(name).ok()?, value))
    };
    pairs(text)?.into_iter().map(header).collect()
}

fn sampler(name: &str, ratio: f64) -> Option<Sampler> {
    let root = |name| match name {
        "always_on" => Some(Sampler::AlwaysOn),
        "always_off" => Some(Sampler::AlwaysOff),
        "traceidratio" => Some(Sampler::TraceIdRatioBased(ratio)),
        _ => None,
    };
    match name.strip_prefix("parentbased_") {
        Some(name) => Some(Sampler::ParentBased(Box::new(root(name)?))),
        None => root(name),
    }
}

/// Returns the attributes of this process. Those that are given count more than ours.
fn resource(
    service: &str,
    given: Vec<(String, String)>,
    name: Option<String>,
) -> Vec<(String, String)> {
    let ours = [
        ("service.name", format!("partner-keys-{service}")),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("service.instance.id", Uuid::new_v4().to_string()),
    ];
    let ours = ours.map(|(name, value)| (name.to_owned(), value));
    let name = name.map(|name| ("service.name".to_owned(), name));
    let all: BTreeMap<_, _> = ours.into_iter().chain(given).chain(name).collect();
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_the_specification_says_and_headers_are_never_shown() {
        let given = "authorization=Basic%20aHVudGVyMg==, x-tenant = a%2Cb ,";
        let headers = headers(given).unwrap();
        assert_eq!(headers["authorization"], "Basic aHVudGVyMg==");
        assert_eq!(headers["x-tenant"], "a,b");
        assert!(!format!("{headers:?}").contains("aHVudGVyMg"));
        for invalid in ["a", "=b", "a b=c", "a=%0a", "a=%ff"] {
            assert!(super::headers(invalid).is_none(), "{invalid}");
        }
    }

    #[test]
    fn the_name_of_the_service_counts_more_than_the_attributes() {
        let given = pairs("service.name=a,deployment.environment.name=test").unwrap();
        let named = |name: Option<&str>| {
            let all = resource("api", given.clone(), name.map(str::to_owned));
            assert!(
                all.iter()
                    .any(|(name, _)| name == "deployment.environment.name")
            );
            let name = all.into_iter().find(|(name, _)| name == "service.name");
            name.unwrap().1
        };
        assert_eq!(
            (named(None), named(Some("b"))),
            ("a".to_owned(), "b".to_owned())
        );
        assert_eq!(resource("api", Vec::new(), None)[1].1, "partner-keys-api");
    }

    #[test]
    fn a_sampler_has_a_standard_name() {
        let shown = |name| sampler(name, 0.5).map(|sampler| format!("{sampler:?}"));
        assert_eq!(shown("always_off").as_deref(), Some("AlwaysOff"));
        let parent_based = Some("ParentBased(TraceIdRatioBased(0.5))");
        assert_eq!(shown("parentbased_traceidratio").as_deref(), parent_based);
        for invalid in ["", "parentbased_", "xray", "jaeger_remote"] {
            assert_eq!(shown(invalid), None, "{invalid}");
        }
    }
}
