//! A service with traffic and failures, and a Prometheus that scrapes it.

use std::collections::BTreeMap;

use reqwest::StatusCode;
use serde_json::Value;
use svix_simulator::{Fault, Pattern};
use tests::client::KEY_PATH;
use tests::process::free_port;
use tests::{Deployment, Plan, TestDatabase};

use super::prometheus::Prometheus;
use super::{TIMEOUT, alerts, dashboards, incidents, items, text};

const INTERNAL_TOKEN: &str = "internal_token_of_the_monitoring";

/// A deployment whose clients and partners are at work.
pub(super) struct Service {
    pub(super) deployment: Deployment,
    pub(super) prometheus: Prometheus,
    /// The admin listeners of the api and the worker.
    pub(super) admin: [String; 2],
    internal: String,
}

impl Service {
    async fn start() -> Self {
        let internal = format!("127.0.0.1:{}", free_port());
        let env = vec![
            ("ADMIN_ADDR", "127.0.0.1:0".to_owned()),
            ("INTERNAL_ADDR", internal.clone()),
            ("INTERNAL_TOKEN", INTERNAL_TOKEN.to_owned()),
            ("RATE_LIMIT_PORTAL", "2/h".to_owned()),
        ];
        let database = TestDatabase::migrated().await;
        leave_the_tables_alone(&database).await;
        let mut deployment = Deployment::planned(Plan {
            database: Some(database),
            workers: 1,
            env,
            ..Plan::default()
        })
        .await;
        let api = deployment.server.admin_url().await;
        let worker = deployment.in_production_mut().workers[0].admin_url().await;
        let prometheus = Prometheus::start(&api, &worker).await;
        Self {
            deployment,
            prometheus,
            admin: [api, worker],
            internal: format!("http://{internal}"),
        }
    }

    fn fails_once(&self, pattern: Pattern, fault: Fault) {
        self.deployment.svix.fault(pattern, fault).times(1);
    }

    /// Makes the database fail until Prometheus has seen enough failures for the alert. It must
    /// have seen them one by one: what `increase` adds to that soon after the first sample is
    /// gone some samples later.
    async fn loses_its_database(&self) {
        let session = self.deployment.session().await;
        let database = &self.deployment.in_production().database;
        database.allow_connections(false).await;
        let failures = format!(
            r#"http_server_request_duration_seconds_count{{http_route="{KEY_PATH}",http_response_status_code="503"}}[6h]"#
        );
        let failures = format!("max_over_time({failures}) - min_over_time({failures})");
        let fail = || async {
            self.deployment.client.show(&session).await;
            self.prometheus.query(&failures).await
        };
        let are_many = |values: &Vec<f64>| values.iter().any(|value| *value > 10.0);
        tests::eventually("the failures are seen", TIMEOUT, fail, are_many).await;
        database.allow_connections(true).await;
        let shown = || async { *self.deployment.client.show(&session).await.status };
        let is_back = |status: &StatusCode| *status == StatusCode::OK;
        tests::eventually("the database is back", TIMEOUT, shown, is_back).await;
    }

    /// Work that Svix refuses (it waits for an hour), that it rejects (a dead letter of the
    /// account `demo`), and that fails once.
    async fn has_trouble_with_svix(&self) {
        for (account, fault) in [("demo-2", 401), ("demo", 422), ("demo-3", 500)] {
            let calls = self.deployment.svix.calls(Pattern::create());
            self.fails_once(Pattern::create(), Fault::Status(fault));
            let session = self.deployment.session_of(account).await;
            assert_eq!(self.deployment.client.create(&session).await.status, 201);
            self.deployment
                .svix
                .wait_for_calls(Pattern::create(), calls + 1)
                .await;
        }
    }

    /// One of each request that clients make, among them some that fail.
    pub(super) async fn is_used(&self) {
        let client = &self.deployment.client;
        let session = self.deployment.session().await;
        let key = client.create(&session).await.text("api_key");
        self.deployment.provisioned(&session, TIMEOUT).await;
        self.fails_once(Pattern::portal(), Fault::Status(500));
        assert_eq!(client.portal(&key).await.status, 502);
        assert_eq!(client.portal(&key).await.status, 200);
        assert_eq!(client.portal(&key).await.status, 429);
        assert_eq!(client.portal(&session).await.status, 401);

        let http = tests::http::client();
        let check = http.get(format!("{}/internal/v1/forward-auth", self.internal));
        assert_eq!(check.bearer_auth(&key).send().await.unwrap().status(), 200);
        let introspect = http.post(format!("{}/internal/v1/keys/introspect", self.internal));
        let introspect = introspect
            .bearer_auth(INTERNAL_TOKEN)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("token={key}"));
        assert_eq!(introspect.send().await.unwrap().status(), 200);
        assert_eq!(client.revoke(&session).await.status, 200);
    }
}

/// Keeps PostgreSQL from vacuuming and analysing the tables. It does so once a minute, and then
/// shows when, where the page has a table without a time.
async fn leave_the_tables_alone(database: &TestDatabase) {
    let leave = "ALTER TABLE api_partners SET (autovacuum_enabled = off);
                 ALTER TABLE sessions SET (autovacuum_enabled = off)";
    let leave = sqlx::raw_sql(leave).execute(&database.pool().await).await;
    leave.unwrap();
}

/// One service is started for all of this, because it takes seconds. The alerts come before
/// the traffic, which makes the failures a smaller part of the requests.
#[tokio::test]
async fn a_real_prometheus_answers_every_query_and_an_operator_can_run_every_command() {
    let service = Service::start().await;
    service.loses_its_database().await;
    service.has_trouble_with_svix().await;
    every_rule_can_be_evaluated(&service.prometheus).await;
    every_alert_says_what_is_wrong(&service.prometheus).await;
    every_dashboard_query_returns_data(&service).await;
    incidents::every_command_does_what_the_page_says(&service).await;
}

async fn every_dashboard_query_returns_data(service: &Service) {
    let mut waiting = dashboards::queries();
    assert!(waiting.len() > 40, "{}", waiting.len());
    let began = std::time::Instant::now();
    while !waiting.is_empty() {
        service.is_used().await;
        let mut without_data = Vec::new();
        for asked in waiting {
            if service.prometheus.query(&asked.query).await.is_empty() {
                without_data.push(asked);
            }
        }
        waiting = without_data;
        let names: Vec<_> = waiting.iter().map(|it| (&it.of, &it.query)).collect();
        assert!(began.elapsed() < TIMEOUT, "no data: {names:#?}");
    }
    for (label, series) in dashboards::label_queries() {
        let path = format!("label/{label}/values");
        let values = service.prometheus.get(&path, &[("match[]", &series)]).await;
        assert!(!items(&values).is_empty(), "{series} has no {label}");
    }
}

/// What really happens here, though not yet for as long as the alerts wait.
const ACTIVE: [&str; 3] = [
    "PartnerKeysDeadLetters",
    "PartnerKeysSvixRefuses",
    "PartnerKeysRequestsFailing",
];
/// What does not happen. On a busy machine a scrape may be too late, and then a process seems
/// to be down until the next one.
const INACTIVE: [&str; 5] = [
    "PartnerKeysNoApi",
    "PartnerKeysNoWorker",
    "PartnerKeysProcessDown",
    "PartnerKeysRedisUnreachable",
    "PartnerKeysRestarting",
];

async fn every_rule_can_be_evaluated(prometheus: &Prometheus) {
    let rules = || async {
        let groups = prometheus.get("rules", &[]).await;
        let groups = items(&groups["groups"]).iter();
        let groups = groups.filter(|group| group["name"] != "always");
        let rules = groups.flat_map(|group| items(&group["rules"]).to_owned());
        rules.collect::<Vec<Value>>()
    };
    let is_active = |rules: &[Value], name: &str| {
        let mut rules = rules.iter();
        rules.any(|rule| rule["name"] == name && rule["state"] != "inactive")
    };
    let what = "the rules see what happens, and nothing else";
    let rules = tests::eventually(what, TIMEOUT, rules, |rules| {
        let are_evaluated = rules.iter().all(|rule| rule["health"] != "unknown");
        are_evaluated
            && ACTIVE.iter().all(|name| is_active(rules, name))
            && !INACTIVE.iter().any(|name| is_active(rules, name))
    });
    let rules = rules.await;
    assert!(rules.len() > 20, "{rules:?}");
    for rule in &rules {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
}

async fn every_alert_says_what_is_wrong(prometheus: &Prometheus) {
    let all = alerts::alerts();
    let names: Vec<&str> = all.iter().map(|alert| text(&alert["alert"])).collect();
    let firing = || async {
        let data = prometheus.get("alerts", &[]).await;
        let always = |alert: &&Value| alert["labels"]["group"] == "always";
        let firing = items(&data["alerts"]).iter().filter(always);
        let with_name = |alert: &Value| {
            let name = text(&alert["labels"]["alertname"]).to_owned();
            (name, alert["annotations"].clone())
        };
        firing.map(with_name).collect::<BTreeMap<String, Value>>()
    };
    let all_fire =
        |firing: &BTreeMap<String, Value>| names.iter().all(|name| firing.contains_key(*name));
    let firing = tests::eventually("all alerts fire", TIMEOUT, firing, all_fire).await;
    for (name, annotations) in firing {
        for annotation in ["summary", "description"] {
            let said = text(&annotations[annotation]);
            let wrong = ["{{", "<error", "<no value>", "  "];
            let is_complete = !wrong.iter().any(|wrong| said.contains(wrong));
            assert!(is_complete, "{name}: {said}");
        }
    }
}
