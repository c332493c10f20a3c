//! Sends the metrics of `/metrics` as they are, from time to time. They are cumulative, so
//! an export that fails is not repeated: the next one has it all.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::sender::Sender;
use crate::admin::Scrape;
use crate::metrics;

/// Returns the SDK's resource as it is sent.
pub(super) fn resource(resource: &opentelemetry_sdk::Resource) -> Resource {
    let attribute = |(name, value): (&opentelemetry::Key, &opentelemetry::Value)| KeyValue {
        key: name.as_str().to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.to_string())),
        }),
        ..KeyValue::default()
    };
    Resource {
        attributes: resource.iter().map(attribute).collect(),
        ..Resource::default()
    }
}

/// Sends the metrics until it is told to stop, and then once more.
pub(super) async fn send(
    sender: Sender,
    resource: Resource,
    scrape: Arc<Scrape>,
    every: Duration,
    stop: CancellationToken,
) {
    loop {
        let goes_on = tokio::select! {
            () = sleep(every) => true,
            () = stop.cancelled() => false,
        };
        if goes_on {
            // A database that is away would use up the time for the last export.
            scrape.refresh().await;
        }
        let message = message(resource.clone()).encode_to_vec();
        // It was logged and counted.
        let _ = sender.send(message.into()).await;
        if !goes_on {
            return;
        }
    }
}

fn message(resource: Resource) -> ExportMetricsServiceRequest {
    let scope = InstrumentationScope {
        name: "partner-keys".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let metrics = ScopeMetrics {
        scope: Some(scope),
        metrics: metrics::for_otlp(),
        ..ScopeMetrics::default()
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource),
            scope_metrics: vec![metrics],
            ..ResourceMetrics::default()
        }],
    }
}
