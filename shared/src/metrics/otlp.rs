//! The metrics in OTLP's form. Their names are OpenTelemetry's again, with dots; ours lose
//! only what the unit says. A collector that shows them to Prometheus shows the names of
//! `/metrics`.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum,
    number_data_point,
};
use prometheus::proto::{self, LabelPair, MetricFamily, MetricType};

/// A time in nanoseconds since 1970.
type Nanos = u64;

/// The period that the values are about.
#[derive(Clone, Copy)]
pub(super) struct Period {
    /// The start of the process.
    pub(super) from: Nanos,
    /// Now.
    pub(super) to: Nanos,
}

/// Converts all series of a metric.
pub(super) fn metric(family: &MetricFamily, period: Period) -> Metric {
    let series = family.get_metric();
    let numbers = |value: fn(&proto::Metric) -> f64| {
        let points = series.iter().map(|series| NumberDataPoint {
            attributes: attributes(series.get_label()),
            start_time_unix_nano: period.from,
            time_unix_nano: period.to,
            value: Some(number_data_point::Value::AsDouble(value(series))),
            ..NumberDataPoint::default()
        });
        points.collect()
    };
    let cumulative = AggregationTemporality::Cumulative.into();
    let data = match family.get_field_type() {
        MetricType::COUNTER => Data::Sum(Sum {
            data_points: numbers(|series| series.get_counter().get_value()),
            aggregation_temporality: cumulative,
            is_monotonic: true,
        }),
        MetricType::HISTOGRAM => Data::Histogram(Histogram {
            data_points: series
                .iter()
                .map(|series| histogram(series, period))
                .collect(),
            aggregation_temporality: cumulative,
        }),
        _ => Data::Gauge(Gauge {
            data_points: numbers(|series| series.get_gauge().get_value()),
        }),
    };
    let (name, unit) = name_and_unit(family.name());
    Metric {
        name,
        description: family.help().to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

/// Converts a histogram. The counts of Prometheus's buckets include those of the smaller
/// ones, and OTLP's do not; the last has what is above all bounds.
fn histogram(series: &proto::Metric, period: Period) -> HistogramDataPoint {
    let histogram = series.get_histogram();
    let count = histogram.get_sample_count();
    let buckets = histogram.get_bucket();
    let totals = buckets.iter().map(proto::Bucket::cumulative_count);
    let mut below = 0;
    let counts = totals.chain([count]).map(|total| {
        let within = total.saturating_sub(below);
        below = total;
        within
    });
    HistogramDataPoint {
        attributes: attributes(series.get_label()),
        start_time_unix_nano: period.from,
        time_unix_nano: period.to,
        count,
        sum: Some(histogram.get_sample_sum()),
        bucket_counts: counts.collect(),
        explicit_bounds: buckets.iter().map(proto::Bucket::upper_bound).collect(),
        ..HistogramDataPoint::default()
    }
}

/// Returns OpenTelemetry's name, and the unit.
fn name_and_unit(name: &str) -> (String, &'static str) {
    let name = name.strip_suffix("_total").unwrap_or(name);
    let units = [("_seconds", "s"), ("_bytes", "By")];
    let (name, unit) = units
        .iter()
        .find_map(|(suffix, unit)| Some((name.strip_suffix(*suffix)?, *unit)))
        .unwrap_or((name, ""));
    let is_conventional = name.starts_with("http_") || name.starts_with("db_");
    let name = if is_conventional {
        name.replace('_', ".")
    } else {
        name.to_owned()
    };
    (name, unit)
}

fn attributes(labels: &[LabelPair]) -> Vec<KeyValue> {
    // An empty label stands for one that is not there.
    let labels = labels.iter().filter(|label| !label.value().is_empty());
    let attribute = |label: &LabelPair| {
        let name = match label.name() {
            "http_request_method" => "http.request.method",
            "http_route" => "http.route",
            "http_response_status_code" => "http.response.status_code",
            "url_scheme" => "url.scheme",
            "server_address" => "server.address",
            "server_port" => "server.port",
            "db_system_name" => "db.system.name",
            "db_query_summary" => "db.query.summary",
            "error_type" => "error.type",
            ours => ours,
        };
        let is_number = matches!(name, "http.response.status_code" | "server.port");
        let number = label.value().parse::<i64>().ok().filter(|_| is_number);
        let text = || Value::StringValue(label.value().to_owned());
        KeyValue {
            key: name.to_owned(),
            value: Some(AnyValue {
                value: Some(number.map_or_else(text, Value::IntValue)),
            }),
            ..KeyValue::default()
        }
    };
    labels.map(attribute).collect()
}

#[cfg(test)]
mod tests {
    use prometheus::core::Collector;
    use prometheus::{HistogramOpts, HistogramVec};

    use super::*;

    /// What Prometheus makes of OpenTelemetry's name, by the rules of OpenTelemetry's
    /// specification "Prometheus Compatibility".
    fn prometheus_name(metric: &Metric) -> String {
        let unit = match &*metric.unit {
            "s" => "_seconds",
            "By" => "_bytes",
            _ => "",
        };
        let is_sum = matches!(metric.data, Some(Data::Sum(_)));
        let total = if is_sum { "_total" } else { "" };
        format!("{}{unit}{total}", metric.name.replace('.', "_"))
    }

    #[test]
    fn each_metric_has_the_same_name_after_a_way_through_prometheus() {
        super::super::show(super::super::Part::Api);
        super::super::show(super::super::Part::Worker);
        super::super::answered(
            "GET",
            "/healthz",
            poem::http::StatusCode::OK,
            std::time::Duration::ZERO,
        );
        let families = super::super::REGISTRY.gather();
        assert!(families.len() > 5);
        let period = Period { from: 1, to: 2 };
        for family in families {
            let metric = metric(&family, period);
            assert_eq!(prometheus_name(&metric), family.name());
        }
    }

    #[test]
    fn a_histogram_counts_each_value_once() {
        let options =
            HistogramOpts::new("http_server_request_duration_seconds", "…").buckets(vec![1.0, 2.0]);
        let histograms = HistogramVec::new(options, &["http_route", "error_type"]).unwrap();
        for value in [0.5, 1.5, 1.5, 9.0] {
            histograms.with_label_values(&["/a", ""]).observe(value);
        }
        let metric = metric(&histograms.collect()[0], Period { from: 1, to: 2 });
        assert_eq!(
            (&*metric.name, &*metric.unit),
            ("http.server.request.duration", "s")
        );
        let Some(Data::Histogram(histogram)) = metric.data else {
            panic!("{metric:?}");
        };
        let point = &histogram.data_points[0];
        assert_eq!(point.bucket_counts, [1, 2, 1]);
        assert_eq!(point.explicit_bounds, [1.0, 2.0]);
        assert_eq!((point.count, point.sum), (4, Some(12.5)));
        let names: Vec<&str> = point.attributes.iter().map(|label| &*label.key).collect();
        assert_eq!(names, ["http.route"]);
    }
}
