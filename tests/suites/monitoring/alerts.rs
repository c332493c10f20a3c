//! The rules of `deploy/prometheus`, without a running Prometheus.

use std::collections::BTreeSet;

use serde_json::Value;
use tests::repository::{file, read};
use tests::tool::{fails, succeeds};
use tokio::process::Command;

use super::{TIMEOUT, items, parsed, text};

pub(super) const RULES: &str = "deploy/prometheus/alerts.yaml";
const TESTS: &str = "deploy/prometheus/alerts.test.yaml";
const CONFIG: &str = "deploy/prometheus/prometheus.yaml";
const RUNBOOKS: &str = "https://git.example.com/partner-keys/";

/// Returns all alerts.
pub(super) fn alerts() -> Vec<Value> {
    let rules = parsed(RULES);
    let groups = items(&rules["groups"]).iter();
    let rules = groups.flat_map(|group| items(&group["rules"]).to_owned());
    rules.filter(|rule| rule.get("alert").is_some()).collect()
}

/// Returns the names of the labels that the annotations of an alert use.
pub(super) fn labels_used(alert: &Value) -> BTreeSet<String> {
    let annotations = alert["annotations"].to_string();
    let after = annotations.split("$labels.").skip(1);
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    after
        .map(|text| text.chars().take_while(|c| is_part(*c)).collect())
        .collect()
}

fn promtool(args: &[&str]) -> Command {
    let mut tool = Command::new("promtool");
    tool.args(args);
    tool
}

#[tokio::test]
async fn promtool_accepts_the_rules_and_every_sample_configuration() {
    let (rules, dir) = (file(RULES), tests::scratch());
    let mut check = promtool(&["check", "rules", "--lint-fatal"]);
    succeeds("check rules", check.arg(&rules), TIMEOUT).await;
    std::fs::copy(rules, dir.path().join("alerts.yaml")).unwrap();
    for (number, config) in configurations().into_iter().enumerate() {
        let path = dir.path().join(format!("prometheus-{number}.yaml"));
        std::fs::write(&path, &config).unwrap();
        let check = |path| {
            let mut check = promtool(&["check", "config"]);
            check.arg(path);
            check
        };
        succeeds(&config, &mut check(&path), TIMEOUT).await;
        assert!(config.contains("component"), "{config}");
        let wrong = config.replace("job_name", "job_nam");
        std::fs::write(&path, wrong).unwrap();
        fails("a wrong configuration", &mut check(&path), TIMEOUT).await;
    }
}

/// Debian's Prometheus cannot find pods.
const PODS: &str = "    kubernetes_sd_configs:
      - role: pod
        namespaces: { names: [partner-keys] }
";

/// Returns the sample configuration, and each of its variants, which are comments in it.
fn configurations() -> Vec<String> {
    let sample = read(CONFIG);
    let (head, _) = sample.split_once("scrape_configs:\n").unwrap();
    let mut variants = vec![sample.clone()];
    for line in sample.lines() {
        if line.starts_with("  # - job_name") {
            variants.push(format!("{head}scrape_configs:\n"));
        }
        let is_code = line.starts_with("  # - ") || line.starts_with("  #   ");
        if let (true, Some(line)) = (is_code, line.strip_prefix("  # ")) {
            let variant = variants.last_mut().unwrap();
            variant.extend(["  ", line, "\n"]);
        }
    }
    assert_eq!(variants.len(), 3, "{variants:?}");
    assert!(variants[1].contains(PODS), "{variants:?}");
    variants[1] = variants[1].replace(PODS, "    static_configs: []\n");
    variants
}

/// A unit test is a query of `ALERTS` at a time: a sample means that the alert fires.
#[tokio::test]
async fn each_alert_has_a_unit_test_in_which_it_fires_and_one_in_which_it_is_silent() {
    let mut check = promtool(&["test", "rules"]);
    check.arg(file(TESTS));
    succeeds("test rules", &mut check, TIMEOUT).await;

    let tests = parsed(TESTS);
    let checks: Vec<&Value> = items(&tests["tests"])
        .iter()
        .flat_map(|test| items(&test["promql_expr_test"]))
        .collect();
    for alert in alerts() {
        let name = format!("alertname=\"{}\"", text(&alert["alert"]));
        let (mut fires, mut is_silent) = (Vec::new(), false);
        for check in &checks {
            if text(&check["expr"]).contains(&name) {
                let samples = items(&check["exp_samples"]);
                fires.extend(samples.iter().map(|sample| text(&sample["labels"])));
                is_silent |= samples.is_empty();
            }
        }
        assert!(!fires.is_empty(), "no test in which {name} fires");
        assert!(is_silent, "no test in which {name} is silent");
        for labels in fires {
            assert!(labels.contains(&name) && labels.contains("alertstate=\"firing\""));
            for label in labels_used(&alert) {
                let label = format!("{label}=\"");
                assert!(labels.contains(&label), "{name} has no {label}: {labels}");
            }
        }
    }
}

/// Returns the anchor that a heading has in rendered Markdown.
pub(super) fn anchor(heading: &str) -> String {
    let is_kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    kept.chars()
        .filter(is_kept)
        .collect::<String>()
        .replace(' ', "-")
}

#[test]
fn each_alert_says_what_it_means_and_links_a_section_that_exists() {
    let mut linked = BTreeSet::new();
    for alert in alerts() {
        let name = text(&alert["alert"]);
        assert!(name.starts_with("PartnerKeys"), "{name}");
        let severity = text(&alert["labels"]["severity"]);
        assert!(["critical", "warning"].contains(&severity), "{name}");
        // A second deployment has another job.
        let expression = text(&alert["expr"]);
        assert!(expression.contains("{job=\"partner-keys\""), "{name}");
        let annotations = &alert["annotations"];
        for annotation in ["summary", "description"] {
            let said = text(&annotations[annotation]);
            assert!(said.ends_with('.') && said.len() > 15, "{name}: {said}");
        }
        let runbook = text(&annotations["runbook_url"]);
        let runbook = runbook.strip_prefix(RUNBOOKS);
        let (page, section) = runbook.unwrap().split_once('#').unwrap();
        let page = read(page);
        let mut headings = page.lines().filter(|line| line.starts_with("## "));
        assert!(
            headings.any(|it| anchor(it) == section),
            "{name}: {section}"
        );
        assert_eq!(section, anchor(name));
        assert!(linked.insert(section.to_owned()), "{name} is there twice");
    }
    let page = read("docs/INCIDENTS.md");
    let sections = page
        .lines()
        .filter(|line| line.starts_with("## PartnerKeys"));
    let sections: BTreeSet<String> = sections.map(anchor).collect();
    assert_eq!(sections, linked, "each section is of an alert");
}

#[test]
fn each_link_leads_to_a_heading_or_a_file() {
    for page in ["INCIDENTS", "SCALING", "DEPLOY"] {
        let page = format!("docs/{page}.md");
        for link in read(&page).split("](").skip(1) {
            let (target, _) = link.split_once(')').unwrap();
            if target.starts_with("https://") {
                continue;
            }
            let (path, section) = target.split_once('#').unwrap_or((target, ""));
            let path = match path {
                "" => page.clone(),
                path => format!("docs/{path}"),
            };
            assert!(file(&path).exists(), "{page}: {target}");
            if !section.is_empty() {
                let text = read(&path);
                let mut headings = text.lines().filter(|line| line.starts_with('#'));
                let exists = headings.any(|it| anchor(it) == section);
                assert!(exists, "{page}: {target}");
            }
        }
    }
}
