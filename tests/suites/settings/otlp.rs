//! The settings of the export of traces and metrics.

use super::{GOOD, run};

const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");

#[tokio::test]
async fn what_is_wrong_about_the_collector_is_named() {
    for (name, endpoint) in [
        ("api", "collector:4318"),
        ("worker", "https://user:hunter2@collector.example/"),
        ("standalone", "https://collector.example/?key=hunter2"),
    ] {
        let wrong = [
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization: hunter2"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
            ("OTEL_SDK_DISABLED", "1"),
            ("OTEL_RESOURCE_ATTRIBUTES", "a"),
            ("OTEL_TRACES_EXPORTER", "console"),
            ("OTEL_METRICS_EXPORTER", "prometheus"),
            ("OTEL_TRACES_SAMPLER", "xray"),
            ("OTEL_TRACES_SAMPLER_ARG", "2"),
            ("OTEL_BSP_SCHEDULE_DELAY", "0"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "-1"),
        ];
        let env = [&GOOD[..], &wrong, &[(ENDPOINT.0, endpoint)]].concat();
        let shown = wrong[1..].iter();
        let mut problems: Vec<String> = shown
            .map(|(variable, given)| format!("  {variable} is {given:?}; expected "))
            .collect();
        for hidden in [ENDPOINT.0, wrong[0].0] {
            problems.push(format!("  {hidden} is invalid (the value is not shown); "));
        }
        let problems: Vec<&str> = problems.iter().map(String::as_str).collect();
        run(name, &[], &env).await.refused(name, &problems);
    }
}

#[tokio::test]
async fn without_a_collector_the_other_variables_are_not_looked_at() {
    let wrong = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    for unused in [("OTEL_SDK_DISABLED", "TRUE"), (ENDPOINT.0, "")] {
        let bad = ("PORT", "http"); // so that the process ends
        let env = [&GOOD[..], &[ENDPOINT, wrong, unused, bad]].concat();
        run("api", &[], &env).await.refused("api", &["  PORT is "]);
    }
}
