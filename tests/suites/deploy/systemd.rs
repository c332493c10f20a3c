//! The units of `deploy/systemd`. systemd does not run here: its own checker reads them, and
//! what they start is started with their variables.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tests::Role;
use tests::process::binary;
use tests::repository::{file, read};
use tests::tool::{fails, succeeds};

use super::{Command, Env, Servers, TIMEOUT, are_settings};

/// Each unit, with the name of an instance, and its program with its arguments.
const UNITS: [(&str, &str, &str); 4] = [
    (
        "partner-keys-api.service",
        "partner-keys-api.service",
        "api",
    ),
    (
        "partner-keys-worker@.service",
        "partner-keys-worker@1.service",
        "worker",
    ),
    (
        "partner-keys-migrate.service",
        "partner-keys-migrate.service",
        "api migrate",
    ),
    (
        "partner-keys-standalone.service",
        "partner-keys-standalone.service",
        "standalone",
    ),
];

/// Returns the values of a setting of a unit.
fn values<'a>(unit: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let assignments = unit.lines().filter_map(|line| line.split_once('='));
    assignments
        .filter(move |(it, _)| *it == name)
        .map(|(_, value)| value)
}

/// Returns the variables that a unit sets, with its credentials in `credentials`, and its
/// state in `state`.
fn env(unit: &str, credentials: &Path, state: &Path) -> Env {
    let words = values(unit, "Environment").flat_map(str::split_whitespace);
    let variables = words.map(|word| {
        let (name, value) = word.split_once('=').unwrap();
        let value = value.replace("%d", credentials.to_str().unwrap());
        let value = value.replace("%S", state.to_str().unwrap());
        (name.to_owned(), value.replace("%i", "1"))
    });
    variables.collect()
}

/// Copies the units into a folder, with our binaries in place of those in /opt.
fn installed(dir: &Path, change: impl Fn(String) -> String) -> Vec<PathBuf> {
    let copies = UNITS.map(|(name, instance, command)| {
        let program = command.split(' ').next().unwrap();
        let path = format!("/opt/partner-keys/bin/{program}");
        let unit = read(&format!("deploy/systemd/{name}"));
        assert!(unit.contains(&path), "{name}");
        let unit = unit.replace(&path, binary(program).to_str().unwrap());
        std::fs::write(dir.join(name), change(unit)).unwrap();
        dir.join(instance)
    });
    Vec::from(copies)
}

fn systemd_analyze(args: &[&str]) -> Command {
    let mut analyze = Command::new("systemd-analyze");
    analyze.arg("--no-pager").args(args);
    analyze
}

/// Returns what systemd says about the units. It ignores a setting that it does not
/// understand, and says so.
async fn verify(change: impl Fn(String) -> String) -> String {
    let dir = tests::scratch();
    let mut verify = systemd_analyze(&["verify", "--man=no"]);
    let verify = verify.args(installed(dir.path(), change)).output();
    let output = verify.await.expect("systemd-analyze runs");
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

#[tokio::test]
async fn systemd_accepts_the_units() {
    assert_eq!(verify(|unit| unit).await, "");
    let misspelt = |unit: String| unit.replace("DynamicUser=", "DynamicUsers=");
    let said = verify(misspelt).await;
    assert_eq!(said.matches("DynamicUsers").count(), UNITS.len(), "{said}");
}

#[tokio::test]
async fn the_units_give_away_little() {
    let dir = tests::scratch();
    // In tenths: below 2.0.
    let security = ["security", "--offline=true", "--threshold=19"];
    for unit in installed(dir.path(), |unit| unit) {
        let mut security = systemd_analyze(&security);
        succeeds("systemd-analyze security", security.arg(&unit), TIMEOUT).await;
    }
    let open = |unit: String| {
        unit.replace("DynamicUser=yes", "")
            .replace("CapabilityBoundingSet=", "")
    };
    for unit in installed(dir.path(), open) {
        let mut security = systemd_analyze(&security);
        fails("systemd-analyze security", security.arg(&unit), TIMEOUT).await;
    }
}

#[test]
fn the_units_name_settings_and_credentials_that_exist() {
    for (name, _, command) in UNITS {
        let unit = read(&format!("deploy/systemd/{name}"));
        let executed = format!("/opt/partner-keys/bin/{command}");
        assert_eq!(values(&unit, "ExecStart").collect::<Vec<_>>(), [executed]);
        let env = env(&unit, Path::new("/credentials"), Path::new("/state"));
        are_settings(command.split(' ').next().unwrap(), &env);
        let files = env
            .values()
            .filter_map(|value| value.strip_prefix("/credentials/"));
        let loaded = values(&unit, "LoadCredential").map(|it| it.split_once(':').unwrap().0);
        let (files, loaded): (BTreeSet<&str>, BTreeSet<&str>) = (files.collect(), loaded.collect());
        assert_eq!(files, loaded, "{name}");
    }
}

#[tokio::test]
async fn the_programs_start_and_stop_with_the_settings_of_their_units() {
    let servers = Servers::start().await;
    let cases = [
        ("api", Role::Api),
        ("worker", Role::Worker),
        ("standalone", Role::Api),
    ];
    for (program, role) in cases {
        let (name, _, _) = UNITS.iter().find(|(_, _, it)| *it == program).unwrap();
        let unit = read(&format!("deploy/systemd/{name}"));
        let state = servers.dir.path().join("state");
        let env = env(&unit, &servers.secrets(role, "-"), &state);
        let running = servers.start_program(program, env).await;
        match program {
            "api" => running.answers(8080, "/readyz").await,
            "worker" => running.answers(9091, "/healthz").await,
            _ => {
                running.answers(8080, "/readyz").await;
                running.answers(9090, "/healthz").await;
                assert!(state.join("partner-keys/partner-keys.db").exists());
            }
        }
        let stop = values(&unit, "TimeoutStopSec").next().unwrap();
        let stop: u64 = stop.trim_end_matches('s').parse().unwrap();
        assert!(
            stop >= if program == "api" { 10 } else { 25 },
            "{program}: {stop} s"
        );
        running
            .stops_within(program, Duration::from_secs(stop))
            .await;
    }
    let units = std::fs::read_dir(file("deploy/systemd")).unwrap();
    assert_eq!(units.count(), UNITS.len(), "each unit is tested");
}
