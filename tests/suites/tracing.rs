//! Traces and metrics, as an OTLP collector gets them.

use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use reqwest::Method;
use shared::clock::Clock;
use shared::config::RedisConfig;
use shared::queue::{Queue, RedisQueue};
use svix_simulator::{Fault, Pattern};
use tests::backlog::insert_due_rows;
use tests::client::{Answer, KEY_PATH};
use tests::collector::{Mood, Span};
use tests::process::free_port;
use tests::{Collector, Deployment, Metrics, Plan};
use uuid::Uuid;

mod exported_metrics;
mod independent_collector;

use exported_metrics::{creations, provisioned};

const SOON: Duration = Duration::from_secs(20);
/// The time within which an api ends, also beside a collector that hangs.
const API_DEADLINE: Duration = Duration::from_secs(10);

/// Returns the ids of a trace of somebody else, and of a span in it.
fn new_parent() -> (String, String) {
    let trace = Uuid::new_v4().simple().to_string();
    let span = Uuid::new_v4().simple().to_string()[..16].to_owned();
    (trace, span)
}

/// Creates a key, with this `traceparent`.
async fn create(deployment: &Deployment, session: &str, traceparent: &str) -> Answer {
    let request = deployment.client.send(Method::POST, KEY_PATH, |request| {
        request
            .bearer_auth(session)
            .header("traceparent", traceparent)
    });
    let answer = request.await;
    assert_eq!(answer.status, 201);
    answer
}

/// Returns the span of the request with this answer.
async fn span_of(answer: &Answer, collector: &Collector) -> Span {
    let id = answer.header("x-request-id").unwrap();
    let is_meant = |span: &Span| {
        let its_id = span.attributes.get("partner_keys.request_id");
        its_id.is_some_and(|its_id| its_id == id)
    };
    collector.span("the span of a request", is_meant).await
}

#[tokio::test]
async fn one_trace_leads_from_the_proxy_through_the_api_and_the_job_to_svix() {
    let collector = Collector::start(Mood::Taking).await;
    let mut env = collector.env();
    let further = [
        ("TRUSTED_PROXIES", "127.0.0.1"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=of%20the%20suites"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "deployment.environment.name=suites",
        ),
    ];
    env.extend(further.map(|(name, value)| (name, value.to_owned())));
    let mut deployment = Deployment::planned(Plan {
        workers: 1,
        env,
        ..Plan::default()
    })
    .await;
    let account = format!("account-{}", Uuid::new_v4().simple());
    let session = deployment.session_of(&account).await;
    let key = creation(&mut deployment, &collector, &session).await;
    portal_and_revocation(&deployment, &collector, &key, &session).await;
    proxies_decision(&deployment, &collector, &session).await;
    roots(&deployment, &collector, &session).await;

    let count = || async { provisioned(&collector.metrics("partner-keys-worker")) };
    tests::eventually("four keys are set up", SOON, count, |count| *count >= 4.0).await;
    let count = || async { creations(&collector.metrics("partner-keys-api")) };
    tests::eventually("three keys are created", SOON, count, |count| *count == 3).await;

    // The headers are sent, and no secret is.
    let received = collector.received();
    let text = String::from_utf8_lossy(&received);
    assert!(text.to_lowercase().contains("x-tenant: of the suites"));
    assert!(text.contains("deployment.environment.name"));
    for (name, secret) in [
        ("the key", &key[24..]),
        ("the prefix", &key[8..24]),
        ("the session", &session[8..40]),
        ("the account", &account),
    ] {
        assert!(!text.contains(secret), "{name} was sent to the collector");
    }
}

/// Does what makes work due. The worker is stopped meanwhile, so that no sweep finds the work
/// before the nudge, which has the trace, is in the queue.
async fn nudging<T>(deployment: &Deployment, act: impl Future<Output = T>) -> T {
    let production = deployment.in_production();
    let redis = RedisConfig::parse(&production.redis.url()).unwrap();
    let queue = RedisQueue::new(redis, Clock::system());
    production.workers[0].signal("STOP");
    let done = act.await;
    let depth = || async { queue.depth().await.unwrap() };
    tests::eventually("the nudge was sent", SOON, depth, |depth| *depth == 1).await;
    production.workers[0].signal("CONT");
    done
}

/// Checks the trace of a creation. Returns the key.
async fn creation(deployment: &mut Deployment, collector: &Collector, session: &str) -> String {
    let (trace, parent) = new_parent();
    let traceparent = format!("00-{trace}-{parent}-01");
    let created = nudging(deployment, create(deployment, session, &traceparent)).await;
    let request = span_of(&created, collector).await;
    let svix = collector.span_of(&trace, "svix create_application").await;
    let job = collector.span_of(&trace, "process job").await;
    assert_eq!((&request.trace, &request.parent), (&trace, &parent));
    assert_eq!((&job.parent, &svix.parent), (&request.id, &job.id));
    let kinds = [request.kind, job.kind, svix.kind];
    let expected = [SpanKind::Server, SpanKind::Consumer, SpanKind::Client];
    assert_eq!(kinds, expected);
    assert_eq!(request.service, "partner-keys-api");
    assert_eq!(job.service, "partner-keys-worker");
    assert_eq!(request.name, format!("POST {KEY_PATH}"));
    assert_eq!(request.get("http.request.method"), "POST");
    assert_eq!(request.get("http.route"), KEY_PATH);
    assert_eq!(request.get("http.response.status_code"), "201");
    assert_eq!(job.get("partner_keys.outcome"), "provisioned");
    let port = deployment.svix.address().port().to_string();
    assert_eq!(svix.get("server.port"), port);
    for (name, within) in [
        ("BATCH create keys", &request),
        ("BATCH claim attempts", &job),
        ("BATCH finish attempts", &job),
    ] {
        let query = collector.span_of(&trace, name).await;
        assert_eq!(query.parent, within.id);
        assert_eq!(query.get("db.system.name"), "postgresql");
    }
    assert!([&request, &job, &svix].iter().all(|span| !span.has_failed));
    let worker = &mut deployment.in_production_mut().workers[0];
    let line = worker.logged("\"provisioned\"").await;
    assert!(line.contains(&trace), "{line}");
    created.text("api_key")
}

/// Checks the other operations that call Svix, and a failure.
async fn portal_and_revocation(
    deployment: &Deployment,
    collector: &Collector,
    key: &str,
    session: &str,
) {
    deployment.provisioned(session, SOON).await;
    assert_eq!(deployment.client.portal(key).await.status, 200);
    let fault = Fault::Status(500);
    deployment.svix.fault(Pattern::portal(), fault).times(1);
    let refused = deployment.client.portal(key).await;
    let refused = span_of(&refused, collector).await;
    assert_eq!(refused.get("http.response.status_code"), "502");
    assert!(refused.has_failed);
    let call = collector.span_of(&refused.trace, "svix open_portal").await;
    assert!(call.has_failed);
    assert_eq!(call.get("error.type"), "transient");

    let revoked = nudging(deployment, deployment.client.revoke(session)).await;
    let revoked = span_of(&revoked, collector).await;
    assert_eq!(revoked.name, format!("DELETE {KEY_PATH}"));
    let end = "svix end_portal_sessions";
    collector.span_of(&revoked.trace, end).await;
}

/// Checks that the proxy decides what is sampled, and that only a valid `traceparent` counts.
async fn proxies_decision(deployment: &Deployment, collector: &Collector, session: &str) {
    let (trace, parent) = new_parent();
    create(deployment, session, &format!("00-{trace}-{parent}-00")).await;
    deployment.provisioned(session, SOON).await;
    let other = deployment.session().await;
    let malformed = create(deployment, &other, &format!("00-{trace}-{parent}-zz")).await;
    let malformed = span_of(&malformed, collector).await;
    assert_eq!(malformed.parent, "");
    let spans = collector.spans();
    let unsampled = spans.iter().find(|span| span.trace == trace);
    assert_eq!(unsampled, None);
}

/// Checks what begins a trace: a job of the sweep does, but no probe and no statement.
async fn roots(deployment: &Deployment, collector: &Collector, session: &str) {
    let pool = deployment.in_production().database.pool().await;
    insert_due_rows(&pool, 1).await;
    let is_swept = |span: &Span| {
        let outcome = span.attributes.get("partner_keys.outcome");
        span.parent.is_empty() && outcome.is_some_and(|outcome| outcome == "provisioned")
    };
    let swept = collector.span("the job of a sweep", is_swept).await;
    let create = "svix create_application";
    collector.span_of(&swept.trace, create).await;

    assert_eq!(deployment.probe("/readyz").await.0, 200);
    let last = deployment.client.show(session).await;
    span_of(&last, collector).await;
    let spans = collector.spans();
    for root in spans.iter().filter(|span| span.parent.is_empty()) {
        assert_ne!(root.kind, SpanKind::Client, "{root:?}");
        assert!(!root.name.contains("/readyz"), "{root:?}");
    }
}

#[tokio::test]
async fn a_traceparent_of_others_is_ignored_and_what_is_left_at_the_end_is_sent() {
    let collector = Collector::start(Mood::Taking).await;
    let env = [
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            format!("{}/", collector.url()),
        ),
        ("OTEL_BSP_SCHEDULE_DELAY", "3600000".to_owned()),
        ("OTEL_METRIC_EXPORT_INTERVAL", "3600000".to_owned()),
        ("OTEL_SERVICE_NAME", "of-the-suites".to_owned()),
        ("TRUSTED_PROXIES", "10.0.0.0/8".to_owned()),
    ];
    let mut deployment = Deployment::embedded(&env).await;
    let session = deployment.session().await;
    let (trace, parent) = new_parent();
    create(&deployment, &session, &format!("00-{trace}-{parent}-01")).await;
    deployment.provisioned(&session, SOON).await;
    deployment.server.signal("TERM");
    let ended = tokio::time::timeout(API_DEADLINE, deployment.server.ended()).await;
    assert_eq!(ended.expect("in time").code(), Some(0));

    let spans = collector.spans();
    assert!(spans.iter().all(|span| span.trace != trace), "{spans:?}");
    let find = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let request = find(&format!("POST {KEY_PATH}"));
    let svix = find("svix create_application");
    let job = spans.iter().find(|span| span.id == svix.parent).unwrap();
    assert_eq!(request.parent, "");
    assert_eq!((&job.trace, &svix.trace), (&request.trace, &request.trace));
    assert_eq!(job.parent, request.id);
    assert!(provisioned(&collector.metrics("of-the-suites")) >= 1.0);
}

/// Creates keys beside a collector that takes nothing. All are set up, and the process ends
/// in time.
async fn works_beside(url: &str) {
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.to_owned()),
        ("OTEL_BSP_SCHEDULE_DELAY", "10".to_owned()),
        ("OTEL_METRIC_EXPORT_INTERVAL", "10".to_owned()),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "8".to_owned()),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000".to_owned()),
        ("ADMIN_ADDR", "127.0.0.1:0".to_owned()),
    ];
    let mut deployment = Deployment::embedded(&env).await;
    for session in deployment.sessions(30).await {
        assert_eq!(deployment.client.create(&session).await.status, 201);
    }
    deployment.all_provisioned(SOON).await;
    let admin = deployment.server.admin_url().await;
    for signal in ["traces", "metrics"] {
        let failed = |metrics: &Metrics| {
            let failures = metrics.get("partner_keys_otlp_failures_total", &[("signal", signal)]);
            failures.is_some_and(|failures| failures >= 2.0)
        };
        Metrics::eventually("two exports have failed", &admin, failed).await;
    }
    deployment.server.signal("TERM");
    let ended = tokio::time::timeout(API_DEADLINE, deployment.server.ended()).await;
    assert_eq!(ended.expect("in time").code(), Some(0));
    let log = deployment.server.log();
    // One for each signal, however many have failed.
    assert_eq!(log.matches("the OTLP collector fails").count(), 2, "{log}");
}

#[tokio::test]
async fn a_collector_that_is_down_refuses_or_hangs_costs_nothing() {
    let down = format!("http://127.0.0.1:{}", free_port());
    let refusing = Collector::start(Mood::Refusing).await;
    let hanging = Collector::start(Mood::Hanging).await;
    tokio::join!(
        works_beside(&down),
        works_beside(refusing.url()),
        works_beside(hanging.url())
    );
}
