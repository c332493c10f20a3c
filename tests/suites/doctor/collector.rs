//! Mistakes with the collector of traces and metrics.

use tests::IdentityProvider;
use tests::collector::{Collector, Mood};
use tests::identity_provider;

use super::{Diagnosis, PASSWORD, diagnose, with};

const EXPORT: &str = "collector.export";

async fn diagnose_with(program: &str, endpoint: &str) -> Diagnosis {
    let headers = format!("authorization={PASSWORD}");
    let env = with(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_HEADERS", &headers),
    ]);
    diagnose(program, &env).await
}

#[tokio::test]
async fn a_collector_that_takes_exports_is_sent_empty_ones() {
    let collector = Collector::start(Mood::Taking).await;
    for program in ["api", "worker"] {
        let found = diagnose_with(program, collector.url()).await;
        found.finds("collector.name", "ok", "127.0.0.1");
        found.finds(EXPORT, "ok", "127.0.0.1 takes traces and metrics");
    }
    assert!(collector.spans().is_empty());
    let received = String::from_utf8(collector.received()).unwrap();
    assert_eq!(received.matches("POST /v1/traces ").count(), 2);
    assert_eq!(received.matches("POST /v1/metrics ").count(), 2);
    assert_eq!(received.matches(PASSWORD).count(), 4, "{received}");

    // Only what is exported is tried.
    let env = with(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()),
        ("OTEL_TRACES_EXPORTER", "none"),
    ]);
    let found = diagnose("worker", &env).await;
    found.finds(EXPORT, "ok", "127.0.0.1 takes metrics");
    let found = diagnose("worker", &with(&[])).await;
    assert!(found.findings(EXPORT).is_empty());
}

#[tokio::test]
async fn what_is_wrong_with_the_collector_is_a_warning() {
    let (refusing, hanging) = (
        Collector::start(Mood::Refusing).await,
        Collector::start(Mood::Hanging).await,
    );
    let other = IdentityProvider::start(&[]).await;
    other.is(identity_provider::Mood::With("404 Not Found\r\n"));
    let stranger = IdentityProvider::start(&[]).await;
    stranger.is(identity_provider::Mood::With("401 Unauthorized\r\n"));
    let (other, stranger) = (other.url(), stranger.url());
    let (refused, late, other, stranger, gone, no_name) = tokio::join!(
        diagnose_with("worker", refusing.url()),
        diagnose_with("worker", hanging.url()),
        diagnose_with("worker", &other),
        diagnose_with("worker", &stranger),
        diagnose_with("worker", "http://127.0.0.1:1"),
        diagnose_with("worker", "http://nothing.invalid:4318"),
    );
    for (found, message, fix) in [
        (
            &refused,
            "traces: the answer's status is 503",
            "log of the collector",
        ),
        (&late, "no answer within 3s", "start the collector"),
        (&other, "traces: the answer's status is 404", "/v1/traces"),
        (
            &stranger,
            "the answer's status is 401",
            "OTEL_EXPORTER_OTLP_HEADERS",
        ),
        (&gone, "Connection refused", "start the collector"),
    ] {
        found.finds(EXPORT, "warning", message);
        let advice = found.findings(EXPORT)[0]["fix"].as_str().unwrap();
        assert!(advice.contains(fix), "{advice}");
    }
    let unknown = "the name nothing.invalid was not found";
    no_name.finds("collector.name", "warning", unknown);
    no_name.finds(EXPORT, "skipped", "");
}
