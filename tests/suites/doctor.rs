//! `api doctor` and `worker doctor` name each mistake and say how to mend it.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tests::eventually;
use tests::process::binary;
use tokio::process::Command;

mod collector;
mod database;
mod healthy;
mod others;
mod pooler;
mod redis;

/// A secret that no output may have.
const PASSWORD: &str = "hunter2";

/// Settings that are valid, with servers that are not there. A case replaces those that it is about.
fn base() -> Vec<(&'static str, String)> {
    [
        ("DATABASE_URL", "postgres://user:hunter2@127.0.0.1:1/none"),
        ("REDIS_URL", "redis://:hunter2@127.0.0.1:1/"),
        ("SVIX_TOKEN", "testsk_hunter2.eu"),
        ("SVIX_SERVER_URL", "http://127.0.0.1:1"),
        ("LISTEN_ADDR", "127.0.0.1:0"),
        ("MAX_CONNECTIONS", "100"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into()
}

/// Returns the settings with these instead of theirs.
fn with(changes: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    let mut env = base();
    for (name, value) in changes {
        env.retain(|(other, _)| other != name);
        env.push((name, (*value).to_owned()));
    }
    env
}

/// What a doctor has found.
#[derive(Debug)]
struct Diagnosis {
    code: i32,
    report: Value,
}

/// Runs a command to its end. Its output has no secret, and it logs nothing.
async fn output(mut command: Command) -> (i32, String) {
    let dir = tests::scratch();
    command
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let ended = tokio::time::timeout(Duration::from_mins(1), command.output());
    let ended = ended.await.expect("it ends").unwrap();
    let (stdout, stderr) = (
        String::from_utf8(ended.stdout).unwrap(),
        String::from_utf8(ended.stderr).unwrap(),
    );
    assert_eq!(stderr, "", "{stdout}");
    assert!(!stdout.contains(PASSWORD), "{stdout}");
    (ended.status.code().unwrap(), stdout)
}

/// Runs `PROGRAM doctor --json` with exactly these settings.
async fn diagnose(program: &str, env: &[(&str, String)]) -> Diagnosis {
    let mut command = Command::new(binary(program));
    command.args(["doctor", "--json"]).env_clear();
    command.envs(env.iter().map(|(name, value)| (*name, value)));
    Diagnosis::of(output(command).await)
}

/// Waits until the doctor has nothing to say about Redis, as these settings name it. On a busy
/// machine a server may not answer in time.
pub async fn finds_redis_healthy(env: &[(&str, String)]) {
    let about_redis = || async {
        let found = diagnose("worker", env).await;
        let mut findings = found.report["findings"].as_array().unwrap().clone();
        findings.retain(|it| it["check"].as_str().unwrap().starts_with("redis."));
        findings
    };
    let is_healthy = |findings: &Vec<Value>| {
        assert!(findings.len() >= 8, "{findings:?}");
        findings.iter().all(|finding| finding["status"] == "ok")
    };
    let what = "the doctor finds Redis healthy";
    eventually(what, Duration::from_mins(1), about_redis, is_healthy).await;
}

impl Diagnosis {
    fn of((code, stdout): (i32, String)) -> Self {
        let report: Value = serde_json::from_str(&stdout).expect(&stdout);
        Self { code, report }
    }

    /// Returns the findings of a check.
    fn findings(&self, check: &str) -> Vec<&Value> {
        let all = self.report["findings"].as_array().unwrap();
        all.iter()
            .filter(|finding| finding["check"] == check)
            .collect()
    }

    /// The check has a finding with this status and this in its message. If something is wrong,
    /// it says how to mend it.
    #[track_caller]
    fn finds(&self, check: &str, status: &str, message: &str) -> &Self {
        let findings = self.findings(check);
        let found = findings.iter().find(|finding| {
            finding["status"] == status && finding["message"].as_str().unwrap().contains(message)
        });
        let found =
            found.unwrap_or_else(|| panic!("{check} {status} {message:?}: {:#}", self.report));
        let has_fix = matches!(status, "warning" | "error");
        assert_eq!(found["fix"].is_string(), has_fix, "{found}");
        self
    }
}
