//! The metrics at `ADMIN_ADDR`: they move with what happens, their number is bounded, and
//! Prometheus's own tool accepts them.

use std::process::Stdio;
use std::time::{Duration, Instant};

use reqwest::Method;
use svix_simulator::{Fault, Pattern, Route};
use tests::client::{KEY_PATH, PORTAL_PATH, unknown_key};
use tests::deployment::SVIX_TOKEN;
use tests::repository::read;
use tests::{Deployment, Metrics, Plan};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::process::Command;

const SOON: Duration = Duration::from_secs(10);
const ANY_PORT: &str = "127.0.0.1:0";
const REQUESTS: &str = "http_server_request_duration_seconds_count";
const CALLS: &str = "http_client_request_duration_seconds_count";
const ATTEMPTS: &str = "partner_keys_attempts_total";
const ROWS: &str = "partner_keys_backlog_rows";

/// Starts a deployment that shows its metrics, with these further variables.
async fn deployment(workers: usize, env: &[(&'static str, &str)]) -> Deployment {
    let env = [&[("ADMIN_ADDR", ANY_PORT)][..], env].concat();
    let env = env
        .into_iter()
        .map(|(name, value)| (name, value.to_owned()));
    Deployment::planned(Plan {
        env: env.collect(),
        workers,
        ..Plan::default()
    })
    .await
}

/// Returns the URL of the first worker's admin listener.
async fn worker(deployment: &mut Deployment) -> String {
    deployment.in_production_mut().workers[0].admin_url().await
}

fn attempts(metrics: &Metrics, outcome: &str) -> u64 {
    metrics.count(ATTEMPTS, &[("outcome", outcome)])
}

#[tokio::test]
async fn a_creation_a_provisioning_and_a_revocation_are_counted() {
    let mut deployment = deployment(1, &[]).await;
    let api = deployment.server.admin_url().await;
    let worker = worker(&mut deployment).await;
    let before = Metrics::at(&api).await;
    assert_eq!(before.count("partner_keys_created_total", &[]), 0);
    assert_eq!(before.count("partner_keys_revoked_total", &[]), 0);
    assert_eq!(attempts(&Metrics::at(&worker).await, "provisioned"), 0);

    let session = deployment.session().await;
    let created = deployment.client.create(&session).await;
    assert_eq!(created.status, 201);
    let after = Metrics::at(&api).await;
    assert_eq!(after.count("partner_keys_created_total", &[]), 1);
    let create = [
        ("http_request_method", "POST"),
        ("http_route", KEY_PATH),
        ("http_response_status_code", "201"),
        ("url_scheme", "http"),
    ];
    assert_eq!(after.count(REQUESTS, &create), 1);
    let statement = [
        ("db_system_name", "postgresql"),
        ("db_query_summary", "BATCH create keys"),
        ("error_type", ""),
    ];
    let statements = "db_client_operation_duration_seconds_count";
    assert_eq!(after.count(statements, &statement), 1);
    let sizes = "partner_keys_batch_size_sum";
    assert_eq!(after.count(sizes, &statement[..2]), 1);
    assert!(after.count("partner_keys_database_connections", &[]) >= 1);
    assert_eq!(
        after.count("partner_keys_database_connections_max", &[]),
        10
    );

    let provisioned = |metrics: &Metrics| attempts(metrics, "provisioned") == 1;
    let shown = Metrics::eventually("a provisioning", &worker, provisioned).await;
    assert_eq!(
        shown.count("partner_keys_provisioning_duration_seconds_count", &[]),
        1
    );
    let address = deployment.svix.url();
    let (_, port) = address.rsplit_once(':').unwrap();
    let call = [
        ("http_request_method", "POST"),
        ("operation", "create_application"),
        ("error_type", ""),
        ("server_address", "127.0.0.1"),
        ("server_port", port),
    ];
    assert_eq!(shown.count(CALLS, &call), 1);

    let key = created.text("api_key");
    assert_eq!(deployment.client.portal(&key).await.status, 200);
    let opened = Metrics::at(&api).await;
    assert_eq!(opened.count(CALLS, &[("operation", "open_portal")]), 1);
    assert_eq!(deployment.client.revoke(&session).await.status, 200);
    let revoked = Metrics::at(&api).await;
    assert_eq!(revoked.count("partner_keys_revoked_total", &[]), 1);
    let ended = |metrics: &Metrics| attempts(metrics, "portal_sessions_ended") == 1;
    Metrics::eventually("the end of portal sessions", &worker, ended).await;
}

#[tokio::test]
async fn a_fault_of_svix_and_a_dead_letter_are_shown() {
    let mut deployment = deployment(1, &[]).await;
    let worker = worker(&mut deployment).await;
    let fault = |status| {
        let failing = deployment
            .svix
            .fault(Pattern::create(), Fault::Status(status));
        failing.times(1);
    };
    fault(500);
    let session = deployment.session().await;
    assert_eq!(deployment.client.create(&session).await.status, 201);
    let provisioned = |metrics: &Metrics| attempts(metrics, "provisioned") == 1;
    let shown = Metrics::eventually("the second attempt", &worker, provisioned).await;
    assert_eq!(attempts(&shown, "retry"), 1);
    assert_eq!(shown.count(CALLS, &[("error_type", "transient")]), 1);
    assert_eq!(shown.count(ROWS, &[("state", "failed")]), 0);

    fault(422);
    let session = deployment.session().await;
    assert_eq!(deployment.client.create(&session).await.status, 201);
    let failed = |metrics: &Metrics| metrics.get(ROWS, &[("state", "failed")]) == Some(1.0);
    let shown = Metrics::eventually("a dead letter", &worker, failed).await;
    assert_eq!(attempts(&shown, "dead_letter"), 1);
    assert_eq!(shown.count(CALLS, &[("error_type", "rejected")]), 1);
    assert_eq!(shown.count(ROWS, &[("state", "due")]), 0);
    assert_eq!(shown.count("partner_keys_oldest_due_age_seconds", &[]), 0);
}

#[tokio::test]
async fn a_lease_that_ran_out_is_counted() {
    let mut deployment = deployment(1, &[]).await;
    deployment
        .svix
        .fault(Pattern::create(), Fault::Hang)
        .times(1);
    let session = deployment.session().await;
    assert_eq!(deployment.client.create(&session).await.status, 201);
    deployment.svix.wait_for_calls(Route::Create, 1).await;
    let mut killed = deployment.in_production_mut().workers.pop().unwrap();
    killed.kill().await;
    let pool = deployment.in_production().database.pool().await;
    let expire = "
        UPDATE api_partners SET next_attempt_at = now(), leased_until = now()
        WHERE leased_until IS NOT NULL";
    let expired = sqlx::query(expire).execute(&pool).await.unwrap();
    assert_eq!(expired.rows_affected(), 1);

    deployment.start_worker().await;
    let worker = worker(&mut deployment).await;
    let provisioned = |metrics: &Metrics| attempts(metrics, "provisioned") == 1;
    let shown = Metrics::eventually("the next attempt", &worker, provisioned).await;
    assert_eq!(shown.count("partner_keys_leases_expired_total", &[]), 1);
    // An attempt without one before it counts no lease.
    let session = deployment.session().await;
    assert_eq!(deployment.client.create(&session).await.status, 201);
    let provisioned = |metrics: &Metrics| attempts(metrics, "provisioned") == 2;
    let shown = Metrics::eventually("another key", &worker, provisioned).await;
    assert_eq!(shown.count("partner_keys_leases_expired_total", &[]), 1);
}

#[tokio::test]
async fn a_caller_that_does_too_much_is_counted() {
    let limits = [
        ("RATE_LIMIT_CREATE", "1/h"),
        ("RATE_LIMIT_PORTAL", "1/h"),
        ("RATE_LIMIT_FAILED_AUTH", "3/h"),
        ("RATE_LIMIT_REPORTS", "1/h"),
    ];
    let mut deployment = deployment(1, &limits).await;
    let api = deployment.server.admin_url().await;
    let client = &deployment.client;
    let session = deployment.session().await;
    let key = client.create(&session).await.text("api_key");
    deployment.provisioned(&session, SOON).await;
    assert_eq!(client.create(&session).await.status, 429);
    assert_eq!(client.portal(&key).await.status, 200);
    for _ in 0..2 {
        assert_eq!(client.portal(&key).await.status, 429);
    }
    let wrong = unknown_key();
    for _ in 0..4 {
        assert_eq!(client.portal(&wrong).await.status, 401);
    }
    assert_eq!(client.portal(&wrong).await.status, 429);
    for status in [202, 429] {
        assert_eq!(client.report(&[&wrong]).await.status, status);
    }

    let shown = Metrics::at(&api).await;
    let limited = |limit| shown.count("partner_keys_rate_limited_total", &[("limit", limit)]);
    assert_eq!(
        ["create", "portal", "failed_auth", "reports"].map(limited),
        [1, 2, 1, 1],
        "{}",
        shown.text()
    );
}

#[tokio::test]
async fn an_outage_of_redis_is_shown_and_no_old_depth_is() {
    let mut deployment = deployment(1, &[]).await;
    let api = deployment.server.admin_url().await;
    let worker = worker(&mut deployment).await;
    let depth = "partner_keys_queue_depth";
    assert_eq!(Metrics::at(&worker).await.count(depth, &[]), 0);
    deployment.in_production_mut().redis.kill().await;

    let restarts = |metrics: &Metrics| metrics.count("partner_keys_queue_loop_restarts_total", &[]);
    let is_seen = |metrics: &Metrics| restarts(metrics) > 0 && metrics.get(depth, &[]).is_none();
    let shown = Metrics::eventually("the outage", &worker, is_seen).await;
    assert_eq!(shown.count(ROWS, &[("state", "due")]), 0);

    let session = deployment.session().await;
    assert_eq!(deployment.client.create(&session).await.status, 201);
    let dropped = |metrics: &Metrics| metrics.count("partner_keys_nudges_dropped_total", &[]) == 1;
    Metrics::eventually("a dropped nudge", &api, dropped).await;
}

#[tokio::test]
async fn an_outage_of_the_database_is_shown_and_no_old_backlog_is() {
    let mut postgres = tests::PrivatePostgres::start().await;
    let database = Some(postgres.migrated().await);
    let mut deployment = Deployment::planned(Plan {
        database,
        workers: 1,
        env: vec![("ADMIN_ADDR", ANY_PORT.to_owned())],
        ..Plan::default()
    })
    .await;
    let api = deployment.server.admin_url().await;
    let worker = worker(&mut deployment).await;
    let session = deployment.session().await;
    assert_eq!(Metrics::at(&worker).await.count(ROWS, &[]), 0);
    postgres.stop().await;

    let is_unknown = |metrics: &Metrics| metrics.get(ROWS, &[]).is_none();
    Metrics::eventually("no backlog", &worker, is_unknown).await;
    assert_eq!(deployment.client.show(&session).await.status, 503);
    let failed = [
        ("http_response_status_code", "503"),
        ("http_route", KEY_PATH),
    ];
    assert_eq!(Metrics::at(&api).await.count(REQUESTS, &failed), 1);
    // The request gave up before the batch, which looks for a new connection once more.
    let has_failed = |metrics: &Metrics| {
        let failed = [("error_type", "unavailable")];
        let count = metrics.get("db_client_operation_duration_seconds_count", &failed);
        count.is_some_and(|count| count >= 1.0)
    };
    Metrics::eventually("the failed lookup", &api, has_failed).await;
}

#[tokio::test]
async fn open_connections_and_a_full_listener_are_shown() {
    let mut deployment = deployment(0, &[("MAX_CONNECTIONS", "4")]).await;
    let api = deployment.server.admin_url().await;
    let public = [("listener", "public")];
    let open = |metrics: &Metrics| metrics.count("partner_keys_connections", &public);
    let full = |metrics: &Metrics| metrics.count("partner_keys_connections_full_total", &public);
    assert_eq!(full(&Metrics::at(&api).await), 0);

    let address = deployment.client.base().strip_prefix("http://").unwrap();
    let mut connections = Vec::new();
    for _ in 0..6 {
        connections.push(TcpStream::connect(address).await.unwrap());
    }
    let all = |metrics: &Metrics| open(metrics) == 4 && full(metrics) >= 2;
    Metrics::eventually("as many as allowed", &api, all).await;
    drop(connections);
    Metrics::eventually("they are gone", &api, |metrics| open(metrics) <= 1).await;
}

/// A client chooses the path, the method, the account and the credentials. A label that had
/// one of them would fill the memory of Prometheus, and could show a secret.
#[tokio::test]
async fn nothing_that_a_client_chooses_adds_a_series() {
    let mut deployment = deployment(1, &[]).await;
    let worker = worker(&mut deployment).await;
    let api = deployment.server.admin_url().await;
    let mut chosen = vec![SVIX_TOKEN.to_owned()];
    let mut counts = Vec::new();
    let (mut requests, mut provisioned) = (0, 0);
    for round in 0..3 {
        for session in deployment.sessions(5).await {
            let key = deployment.client.create(&session).await.text("api_key");
            provisioned += 1;
            send_odd_requests(&deployment, &session, &key).await;
            chosen.extend([key[..24].to_owned(), session]);
            let done = |metrics: &Metrics| attempts(metrics, "provisioned") == provisioned;
            Metrics::eventually("a provisioning", &worker, done).await;
        }
        let (shown, of_worker) = (Metrics::at(&api).await, Metrics::at(&worker).await);
        let before = std::mem::replace(&mut requests, shown.count(REQUESTS, &[]));
        assert!(requests >= before + 5 * 20, "round {round}: {before}");
        counts.push([shown.series().len(), of_worker.series().len()]);
        for text in [shown.text(), of_worker.text()] {
            for chosen in chosen
                .iter()
                .map(String::as_str)
                .chain(["auth0", "BREW", "odd"])
            {
                assert!(!text.contains(chosen), "{chosen} is in\n{text}");
            }
        }
        if round > 0 {
            assert_eq!(counts[round], counts[round - 1], "{}", shown.text());
        }
    }
    let [of_api, of_worker] = counts[0];
    tests::report(&format!("series: api {of_api}, worker {of_worker}"));
    assert!(of_api < 700 && of_worker < 400, "{of_api}, {of_worker}");
}

async fn send_odd_requests(deployment: &Deployment, session: &str, key: &str) {
    let http = tests::http::client();
    let unique = uuid::Uuid::new_v4().simple().to_string();
    let method = |name: &str| Method::from_bytes(name.as_bytes()).unwrap();
    for method in [method("BREW"), method(&format!("ODD{unique}")), Method::GET] {
        for path in [
            format!("/odd/{unique}"),
            format!("{KEY_PATH}/{unique}"),
            format!("{KEY_PATH}?api_key={key}"),
            format!("/{key}"),
            format!("/docs/{unique}"),
            format!("/dashboard/{session}"),
            PORTAL_PATH.to_owned(),
        ] {
            let url = format!("{}{path}", deployment.client.base());
            let answer = http
                .request(method.clone(), url)
                .bearer_auth(session)
                .send();
            answer.await.unwrap();
        }
    }
}

/// A scraper that is too eager, or several of them, must not cost the database more.
#[tokio::test]
async fn scraping_often_counts_the_backlog_seldom() {
    let mut deployment = deployment(1, &[]).await;
    let worker = worker(&mut deployment).await;
    let began = Instant::now();
    for _ in 0..100 {
        Metrics::at(&worker).await;
    }
    let shown = Metrics::at(&worker).await;
    // One at first, and one each time that the last is older than five seconds.
    let allowed = 1 + began.elapsed().as_secs() / 5;
    let counted = shown.count(
        "db_client_operation_duration_seconds_count",
        &[("db_query_summary", "count backlog")],
    );
    assert!((1..=allowed).contains(&counted), "{counted} of {allowed}");
}

/// Checks the text with Prometheus's own tool: names, types, units and help texts.
async fn is_valid(metrics: &Metrics) {
    let mut tool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("promtool is needed: run `make test`");
    let mut input = tool.stdin.take().unwrap();
    input.write_all(metrics.text().as_bytes()).await.unwrap();
    drop(input);
    let checked = tokio::time::timeout(Duration::from_mins(1), tool.wait_with_output());
    let checked = checked.await.expect("promtool ends").unwrap();
    let said = [checked.stdout, checked.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(checked.status.success(), "{said}\n{}", metrics.text());
    assert_eq!(said, "", "promtool has remarks");
}

#[tokio::test]
async fn prometheus_accepts_the_text_and_the_manual_names_every_metric() {
    let mut production = deployment(1, &[]).await;
    let embedded = [("ADMIN_ADDR", ANY_PORT.to_owned())];
    let mut embedded = Deployment::embedded(&embedded).await;
    let manual = read("docs/OPERATIONS.md");
    for deployment in [&production, &embedded] {
        let session = deployment.session().await;
        let key = deployment.client.create(&session).await.text("api_key");
        deployment.provisioned(&session, SOON).await;
        assert_eq!(deployment.client.portal(&key).await.status, 200);
        assert_eq!(deployment.client.revoke(&session).await.status, 200);
    }
    let processes = [
        &mut production.server,
        &mut production.production.as_mut().unwrap().workers[0],
        &mut embedded.server,
    ];
    for process in processes {
        let metrics = Metrics::of(process).await;
        is_valid(&metrics).await;
        for name in metrics.names() {
            let in_table = format!("| `{name}`");
            assert!(manual.contains(&in_table), "{name} is not in the manual");
        }
    }
}

#[tokio::test]
async fn standalone_shows_the_metrics_of_both_parts() {
    let env = [("ADMIN_ADDR", ANY_PORT.to_owned())];
    let mut deployment = Deployment::embedded(&env).await;
    let admin = deployment.server.admin_url().await;
    let session = deployment.session().await;
    assert_eq!(deployment.client.create(&session).await.status, 201);
    let provisioned = |metrics: &Metrics| attempts(metrics, "provisioned") == 1;
    let shown = Metrics::eventually("a provisioning", &admin, provisioned).await;
    assert_eq!(shown.count("partner_keys_created_total", &[]), 1);
    let sqlite = [("db_system_name", "sqlite")];
    assert!(shown.count("db_client_operation_duration_seconds_count", &sqlite) > 1);
}

#[tokio::test]
async fn the_process_and_the_build_are_shown() {
    let mut deployment = deployment(0, &[]).await;
    let api = deployment.server.admin_url().await;
    let health = tests::http::get(format!("{api}/healthz")).await.unwrap();
    assert_eq!(health.status(), 200);
    let shown = Metrics::at(&api).await;
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    assert_eq!(shown.count("partner_keys_build_info", &version), 1);
    for name in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "process_start_time_seconds",
    ] {
        assert!(shown.get(name, &[]).unwrap() > 0.0, "{name}");
    }
    let used = |metrics: &Metrics| metrics.get("process_cpu_seconds_total", &[]).unwrap();
    let before = used(&shown);
    Metrics::eventually("time is used", &api, |metrics| used(metrics) > before).await;
}

#[tokio::test]
async fn without_an_address_there_are_no_metrics_anywhere() {
    let deployment = Deployment::production(0).await;
    let url = format!("{}/metrics", deployment.client.base());
    assert_eq!(tests::http::get(url).await.unwrap().status(), 404);
    assert!(!deployment.server.log().contains("showing metrics"));
}
