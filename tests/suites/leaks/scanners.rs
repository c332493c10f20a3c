//! The rules of `deploy/scanners`, by which secret scanners find our keys. gitleaks itself
//! runs. No package registry has TruffleHog, and GitHub's scanner is GitHub's own: their rules
//! run in the same engines for regular expressions, Go's and Hyperscan.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tests::repository::{file, python_packages};
use tests::tool::{fails, succeeds};
use tokio::process::Command;

use samples::{Findings, Samples, new_key};

mod samples;

/// The time limit for one tool on a busy machine.
const TIMEOUT: Duration = Duration::from_mins(2);

/// The rule's name in each scanner.
const RULE: &str = "partner-api-key";

/// Returns the content of a YAML file of `deploy/scanners`.
fn rules(name: &str) -> Value {
    let text = std::fs::read_to_string(file("deploy/scanners").join(name)).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

/// Returns a command to run a tool that `tests/scanners/requirements.txt` names.
fn tool(name: &str) -> Command {
    Command::new(python_packages("scanners").join("bin").join(name))
}

/// Returns a command to run gitleaks in this folder.
fn gitleaks(subcommand: &str, folder: &Path) -> Command {
    let mut command = tool("gitleaks");
    command
        .current_dir(folder)
        .args([subcommand, "--no-banner"]);
    command
}

/// Returns the path of our rules for gitleaks.
fn our_rules() -> String {
    let path = file("deploy/scanners/gitleaks.toml");
    path.to_str().unwrap().to_owned()
}

/// Runs a scanner that takes a folder and a rule as JSON, and prints JSON pairs of a file
/// and a key.
async fn scan(samples: &Samples, name: &str, tool: &mut Command, rule: &Value) -> Findings {
    let dir = tests::scratch();
    let path = dir.path().join("rule.json");
    std::fs::write(&path, rule.to_string()).unwrap();
    tool.arg(samples.dir.path()).arg(path);
    let output = succeeds(name, tool, TIMEOUT).await;
    serde_json::from_str(&output).unwrap()
}

/// Runs gitleaks, which must find something. Returns what each of its rules found.
async fn gitleaks_report(samples: &Samples, args: &[&str]) -> BTreeMap<String, Findings> {
    let dir = tests::scratch();
    let path = dir.path().join("report.json");
    let mut command = gitleaks("dir", samples.dir.path());
    command.args(args).arg("--report-path").arg(&path);
    fails("gitleaks", &mut command, TIMEOUT).await;
    let report: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut found = BTreeMap::<String, Findings>::new();
    for finding in report.as_array().unwrap() {
        let text = |field: &str| finding[field].as_str().unwrap().to_owned();
        let of_rule = found.entry(text("RuleID")).or_default();
        of_rule.insert((text("File"), text("Secret")));
    }
    found
}

#[tokio::test]
async fn gitleaks_finds_each_key_and_nothing_else() {
    let mut samples = Samples::new();
    // It also decodes what looks like base64, as the credentials of HTTP's basic scheme.
    let key = new_key();
    let encoded = STANDARD.encode(format!("partner:{key}"));
    samples.without_keys("basic.txt", &format!("Authorization: Basic {encoded}\n"));
    samples.keys.insert(("basic.txt".to_owned(), key));

    let found = gitleaks_report(&samples, &["--config", &our_rules()]).await;
    assert_eq!(found[RULE], samples.keys);
}

/// Its rule for Stripe passes over `pk_`, and its general rule wants a name such as `auth`.
#[tokio::test]
async fn gitleaks_misses_keys_without_our_rule_and_keeps_its_own_rules_with_it() {
    let samples = Samples::new();
    let with = gitleaks_report(&samples, &["--config", &our_rules()]).await;
    let without = gitleaks_report(&samples, &[]).await;
    assert_eq!(with["curl-auth-header"], without["curl-auth-header"]);

    let found: Findings = without.into_values().flatten().collect();
    let missed: BTreeSet<&str> = samples
        .keys
        .difference(&found)
        .map(|(name, _)| name.as_str())
        .collect();
    for name in ["service.log", "client.py", "no-line-break.txt"] {
        assert!(missed.contains(name), "{missed:?}");
    }
}

/// The commands are those of docs/LEAKS.md and of gitleaks' hook for pre-commit.
#[tokio::test]
async fn gitleaks_stops_a_commit_with_a_key_and_finds_keys_in_the_history() {
    let dir = tests::scratch();
    let repository = dir.path();
    std::fs::copy(our_rules(), repository.join(".gitleaks.toml")).unwrap();
    git(repository, &["init", "--quiet"]).await;
    let key = new_key();
    let stage = async |text: &str| {
        std::fs::write(repository.join("notes.txt"), format!("{text}\n")).unwrap();
        git(repository, &["add", "."]).await;
    };
    let hook = || {
        let mut command = gitleaks("git", repository);
        command.args(["--pre-commit", "--redact", "--staged", "--verbose"]);
        command
    };

    stage(&key[..24]).await;
    succeeds("the hook", &mut hook(), TIMEOUT).await;
    stage(&key).await;
    let output = fails("the hook", &mut hook(), TIMEOUT).await;
    assert!(output.contains(RULE), "{output}");
    assert!(!output.contains(&key[24..]), "the key is shown: {output}");

    git(repository, &["commit", "--quiet", "--message=one"]).await;
    stage("nothing").await;
    git(repository, &["commit", "--quiet", "--message=two"]).await;
    succeeds("gitleaks", &mut gitleaks("dir", repository), TIMEOUT).await;
    let mut history = gitleaks("git", repository);
    let output = fails("gitleaks", history.arg("--verbose"), TIMEOUT).await;
    assert!(output.contains(&key), "{output}");
}

async fn git(repository: &Path, args: &[&str]) {
    let mut git = Command::new("git");
    git.current_dir(repository).args(args);
    // No settings of the machine, such as hooks or signatures.
    git.env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    for role in ["AUTHOR", "COMMITTER"] {
        git.env(format!("GIT_{role}_NAME"), "test");
        git.env(format!("GIT_{role}_EMAIL"), "test@example.com");
    }
    succeeds("git", &mut git, TIMEOUT).await;
}

/// `tests/scanners/trufflehog.go` refuses a field that it does not know, so the detector has
/// no `verify` that would send keys somewhere.
#[tokio::test]
async fn the_detector_for_trufflehog_matches_each_key_and_nothing_else() {
    let samples = Samples::new();
    let file_of_rules = rules("trufflehog.yaml");
    let detectors = file_of_rules["detectors"].as_array().unwrap();
    assert_eq!(detectors.len(), 1);
    assert_eq!(detectors[0]["name"], RULE);
    let mut go = Command::new("go");
    go.env("GO111MODULE", "off").arg("run");
    go.arg(file("tests/scanners/trufflehog.go"));
    let found = scan(&samples, "go", &mut go, &detectors[0]).await;
    assert_eq!(found, samples.keys);
}

/// There is no wheel of Hyperscan for Linux on ARM.
#[cfg(any(target_arch = "x86_64", target_os = "macos"))]
#[tokio::test]
async fn the_custom_pattern_for_github_matches_each_key_and_nothing_else() {
    let samples = Samples::new();
    let file_of_rules = rules("github.yaml");
    let patterns = file_of_rules["patterns"].as_array().unwrap();
    assert_eq!(patterns.len(), 1);
    let mut python = tool("python");
    python.arg(file("tests/scanners/github.py"));
    let found = scan(&samples, "Hyperscan", &mut python, &patterns[0]["regex"]).await;
    assert_eq!(found, samples.keys);
}
