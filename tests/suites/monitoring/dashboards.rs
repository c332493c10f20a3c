//! The dashboards of `deploy/grafana`: their form, and their queries.

use std::collections::BTreeSet;

use serde_json::Value;
use tests::repository::file;

use super::{items, text};

/// A query of a dashboard.
pub(super) struct Query {
    /// The dashboard and the panel or variable.
    pub(super) of: String,
    pub(super) query: String,
}

/// Returns all dashboards, with the names of their files.
fn dashboards() -> Vec<(String, Value)> {
    let folder = std::fs::read_dir(file("deploy/grafana")).unwrap();
    let files = folder.map(|entry| entry.unwrap().path());
    let dashboards = files.map(|path| {
        let content = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, serde_json::from_str(&content).unwrap())
    });
    dashboards.collect()
}

fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    let panels = items(&dashboard["panels"]).iter();
    panels.filter(|panel| panel["type"] != "row")
}

/// Puts values in place of Grafana's variables.
fn substituted(query: &str) -> String {
    let query = query
        .replace("$job", "partner-keys")
        .replace("$instance", ".*")
        .replace("$__rate_interval", "1m")
        .replace("$__range", "5m");
    assert!(!query.contains('$'), "{query}");
    query
}

/// Returns the queries of all panels.
pub(super) fn queries() -> Vec<Query> {
    let mut queries = Vec::new();
    for (name, dashboard) in dashboards() {
        for panel in panels(&dashboard) {
            for target in items(&panel["targets"]) {
                let of = format!("{name}, {}", text(&panel["title"]));
                let query = substituted(text(&target["expr"]));
                queries.push(Query { of, query });
            }
        }
    }
    queries
}

/// Returns the label and the series of all queries of variables, which are of the form
/// `label_values(series, label)`.
pub(super) fn label_queries() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (name, dashboard) in dashboards() {
        for variable in items(&dashboard["templating"]["list"]) {
            if variable["type"] == "query" {
                let query = substituted(text(&variable["query"]["query"]));
                let inner = query.strip_prefix("label_values(");
                let inner = inner.and_then(|it| it.strip_suffix(')'));
                let (series, label) = inner
                    .unwrap_or_else(|| panic!("{name}: {query}"))
                    .rsplit_once(", ")
                    .unwrap();
                found.push((label.to_owned(), series.to_owned()));
            }
        }
    }
    found
}

#[test]
fn each_dashboard_can_be_imported_and_names_no_server_of_ours() {
    let (mut uids, mut names) = (BTreeSet::new(), BTreeSet::new());
    for (name, dashboard) in dashboards() {
        assert_eq!(dashboard["schemaVersion"], 39, "{name}");
        // Grafana chooses the id.
        assert_eq!(dashboard.get("id"), None, "{name}");
        assert!(uids.insert(text(&dashboard["uid"]).to_owned()), "{name}");
        assert!(text(&dashboard["title"]).starts_with("Partner keys: "));
        assert_eq!(dashboard["tags"][0], "partner-keys", "{name}");
        let variables = items(&dashboard["templating"]["list"]);
        assert_eq!(variables[0]["name"], "datasource", "{name}");
        assert_eq!(variables[0]["type"], "datasource", "{name}");
        assert_eq!(variables[1]["name"], "job", "{name}");

        let content = dashboard.to_string();
        for server in ["http://", "https://", "127.0.0.1", "localhost"] {
            assert!(!content.contains(server), "{name} names {server}");
        }
        let panels_and_rows = items(&dashboard["panels"]);
        let ids = panels_and_rows.iter().map(|panel| panel["id"].as_u64());
        let ids: BTreeSet<u64> = ids.map(Option::unwrap).collect();
        assert_eq!(ids.len(), panels_and_rows.len(), "{name}");
        for panel in panels(&dashboard) {
            let title = text(&panel["title"]);
            assert!(names.insert((name.clone(), title.to_owned())), "{title}");
            assert!(text(&panel["description"]).ends_with('.'), "{title}");
            assert!(panel["fieldConfig"]["defaults"]["unit"].is_string());
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
            let targets = items(&panel["targets"]);
            let ids: BTreeSet<&str> = targets.iter().map(|it| text(&it["refId"])).collect();
            assert_eq!(ids.len(), targets.len(), "{title}");
            for target in targets {
                assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
            }
        }
        let places: Vec<_> = panels_and_rows.iter().map(place).collect();
        for (i, one) in places.iter().enumerate() {
            assert!(one.0 + one.2 <= 24, "{name}: {one:?} is too far right");
            for other in &places[i + 1..] {
                let is_beside = one.0 + one.2 <= other.0 || other.0 + other.2 <= one.0;
                let is_above = one.1 + one.3 <= other.1 || other.1 + other.3 <= one.1;
                assert!(is_beside || is_above, "{name}: {one:?} covers {other:?}");
            }
        }
    }
    assert_eq!(uids.len(), 3);
}

/// Returns where a panel is: x, y, width and height.
fn place(panel: &Value) -> (u64, u64, u64, u64) {
    let number = |name: &str| panel["gridPos"][name].as_u64().unwrap();
    (number("x"), number("y"), number("w"), number("h"))
}
