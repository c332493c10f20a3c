//! The metrics that a collector got.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint};
use tests::collector::attributes;

/// Returns what a metric with this name shows, if it was sent.
fn data(metrics: &[Metric], name: &str) -> Option<Data> {
    let metric = metrics.iter().find(|metric| metric.name == name);
    metric.and_then(|metric| metric.data.clone())
}

/// Returns whether these attributes are among those of a point.
fn has(all: &[KeyValue], some: &[(&str, &str)]) -> bool {
    let all = attributes(all);
    let has = |(name, value): &(&str, &str)| all.get(*name).is_some_and(|it| it == value);
    some.iter().all(has)
}

/// Returns the number of attempts that have set up webhooks.
pub fn provisioned(metrics: &[Metric]) -> f64 {
    let Some(Data::Sum(sum)) = data(metrics, "partner_keys_attempts") else {
        return 0.0;
    };
    assert!(sum.is_monotonic);
    let is_meant = |it: &&NumberDataPoint| has(&it.attributes, &[("outcome", "provisioned")]);
    match sum.data_points.iter().find(is_meant).unwrap().value {
        Some(Value::AsDouble(number)) => number,
        other => panic!("{other:?}"),
    }
}

/// Returns the number of requests that have created a key.
pub fn creations(metrics: &[Metric]) -> u64 {
    let Some(Data::Histogram(histogram)) = data(metrics, "http.server.request.duration") else {
        return 0;
    };
    let creation = [
        ("http.request.method", "POST"),
        ("http.response.status_code", "201"),
    ];
    let points = histogram.data_points.iter();
    let points = points.filter(|point| has(&point.attributes, &creation));
    points.map(|point| point.count).sum()
}
