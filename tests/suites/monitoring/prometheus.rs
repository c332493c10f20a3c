//! A real Prometheus, with the sample configuration.

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::process::{free_port, listening};
use tests::repository::file;
use tests::{Process, eventually};
use tokio::process::Command;

use super::{TIMEOUT, alerts, items, parsed, text};

/// A Prometheus that scrapes a deployment once a second, and so gives it a second to answer.
pub(super) struct Prometheus {
    pub(super) url: String,
    _process: Process,
    /// It is dropped after the process.
    _dir: TempDir,
}

impl Prometheus {
    /// Starts it with the sample configuration, but on ports of this test, and faster. Each
    /// alert is there a second time, with a value that makes it fire at once, so that its
    /// annotations can be read.
    pub(super) async fn start(api: &str, worker: &str) -> Self {
        let dir = tests::scratch();
        let mut config = parsed("deploy/prometheus/prometheus.yaml");
        config["global"] = json!({ "scrape_interval": "1s", "evaluation_interval": "500ms" });
        config["alerting"] = Value::Null;
        config["rule_files"] = json!(["alerts.yaml", "always.yaml"]);
        let targets = &mut config["scrape_configs"][0]["static_configs"];
        for (target, (component, url)) in [("api", api), ("worker", worker)].iter().enumerate() {
            let target = &mut targets[target];
            assert_eq!(target["labels"]["component"], *component);
            target["targets"] = json!([url.trim_start_matches("http://")]);
        }
        let write = |name: &str, content: &Value| {
            std::fs::write(dir.path().join(name), content.to_string()).unwrap();
        };
        write("prometheus.yaml", &config);
        write("always.yaml", &always());
        std::fs::copy(file(alerts::RULES), dir.path().join("alerts.yaml")).unwrap();

        let port = free_port();
        let mut command = Command::new("prometheus");
        command.current_dir(dir.path()).args([
            "--config.file=prometheus.yaml",
            "--storage.tsdb.path=data",
            "--log.level=warn",
        ]);
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let process = Process::spawn(dir.path(), "prometheus", command);
        listening(port).await;
        let url = format!("http://127.0.0.1:{port}");
        // It listens before it has opened its database.
        let ask = || async {
            let answer = tests::http::get(format!("{url}/-/ready")).await;
            answer.map(|answer| answer.status().as_u16()).ok()
        };
        eventually("Prometheus is ready", TIMEOUT, ask, |it| *it == Some(200)).await;
        Self {
            url,
            _process: process,
            _dir: dir,
        }
    }

    /// Asks for the answer at a path of its API. Panics unless it succeeds.
    pub(super) async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let mut url = reqwest::Url::parse(&format!("{}/api/v1/{path}", self.url)).unwrap();
        url.query_pairs_mut().extend_pairs(parameters);
        let answer = tests::http::get(url).await.unwrap().text().await.unwrap();
        let mut answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["status"], "success", "{parameters:?}: {answer}");
        answer["data"].take()
    }

    /// Returns the finite values that a query has now.
    pub(super) async fn query(&self, query: &str) -> Vec<f64> {
        let data = self.get("query", &[("query", query)]).await;
        let values = items(&data["result"]).iter();
        let values = values.map(|sample| text(&sample["value"][1]).parse::<f64>().unwrap());
        values.filter(|value| value.is_finite()).collect()
    }
}

/// Returns rules with all alerts, whose values and labels are such that they always fire. They
/// have a label more: otherwise both rules of an alert would write the same series, and that
/// which comes second would fail.
fn always() -> Value {
    let rules = alerts::alerts().into_iter().map(|mut alert| {
        let labels = alerts::labels_used(&alert);
        let with_label =
            |inner, label| format!(r#"label_replace({inner}, "{label}", "x", "", "")"#);
        alert["expr"] = labels
            .into_iter()
            .fold("vector(0.125)".to_owned(), with_label)
            .into();
        alert.as_object_mut().unwrap().remove("for");
        alert["labels"]["group"] = "always".into();
        alert
    });
    json!({ "groups": [{ "name": "always", "rules": rules.collect::<Value>() }] })
}
