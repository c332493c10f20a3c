//! The alerts, dashboards and incident pages: Prometheus's own tool checks the rules, a real
//! Prometheus that scrapes a running service answers every query, and an operator can run
//! every command. There is no Grafana here: of the dashboards, the form is checked.

use std::time::Duration;

use serde_json::Value;
use tests::repository::read;

mod alerts;
mod dashboards;
mod incidents;
mod prometheus;
mod scraped;

/// The time limit for one tool, or one condition, on a busy machine.
const TIMEOUT: Duration = Duration::from_mins(2);

/// Returns the content of a file of this repository, in YAML or JSON.
fn parsed(path: &str) -> Value {
    serde_saphyr::from_str(&read(path)).unwrap()
}

/// Returns the items of a list.
#[track_caller]
fn items(list: &Value) -> &[Value] {
    list.as_array().unwrap()
}

/// Returns a text.
#[track_caller]
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}
