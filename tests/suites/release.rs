//! Releases: the script that prepares one, in a clone, and the bill of materials.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use tests::tool::{fails, succeeds};
use tokio::process::Command;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const TIMEOUT: Duration = Duration::from_mins(2);

/// A clone of the repository with all that is in the working tree, committed.
struct Clone(tempfile::TempDir);

impl Clone {
    async fn new() -> Self {
        let clone = Self(tests::scratch());
        clone
            .sh(&format!("git clone --quiet --no-hardlinks {ROOT} ."))
            .await;
        // What is not committed yet counts too. During a release, nothing is unreleased.
        clone
            .sh(&format!(
                "git -C {ROOT} diff --binary HEAD | git apply --allow-empty
                 git -C {ROOT} ls-files -z --others --exclude-standard |
                     tar --create --directory {ROOT} --null --files-from=- | tar --extract
                 sed -i 's/^## \\[Unreleased\\]$/&\\n\\n### Added\\n\\n- A change./' CHANGELOG.md
                 git config user.name tests && git config user.email tests@example.com
                 git add --all && git diff --cached --quiet || git commit --quiet --message all
                 mkdir scripts/release/.venv
                 ln -s {ROOT}/scripts/release/.venv/* scripts/release/.venv/
                 touch scripts/release/.venv/.installed"
            ))
            .await;
        clone
    }

    fn command(&self, script: &str) -> Command {
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", script]);
        // Those of the `make` that runs the tests are not for the one in the clone.
        bash.env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
        bash.current_dir(self.0.path());
        bash
    }

    async fn sh(&self, script: &str) -> String {
        succeeds(script, &mut self.command(script), TIMEOUT).await
    }

    async fn refuses(&self, version: &str, reason: &str) {
        let script = format!("scripts/release/release {version} --dry-run");
        let output = fails(&script, &mut self.command(&script), TIMEOUT).await;
        assert!(output.contains(reason), "{version}: {output}");
        assert_eq!(
            self.sh("git status --porcelain").await,
            "",
            "it changed something"
        );
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.0.path().join(file)).unwrap()
    }
}

#[tokio::test]
async fn a_release_is_prepared_with_one_version_everywhere() {
    let clone = Clone::new().await;
    let old = clone.sh("scripts/release/version").await;
    clone
        .refuses("1.2", "1.2 is no version such as 1.2.3")
        .await;
    clone.refuses("0.0.1", "0.0.1 is lower than").await;
    clone.sh("git tag v9.0.0").await;
    clone.refuses("9.0.0", "v9.0.0 is tagged already").await;
    clone.sh("echo >>README.md").await;
    let dirty = "scripts/release/release 9.9.9 --dry-run";
    let output = fails(dirty, &mut clone.command(dirty), TIMEOUT).await;
    assert!(output.contains("there are uncommitted changes"), "{output}");
    clone.sh("git checkout --quiet README.md").await;

    clone
        .sh("make --no-print-directory release VERSION=9.9.9 ARGS=--dry-run")
        .await;
    assert_eq!(clone.sh("scripts/release/version").await, "9.9.9\n");
    let manifest = "cargo metadata --locked --offline --no-deps --format-version=1";
    let metadata: Value = serde_json::from_str(&clone.sh(manifest).await).unwrap();
    for package in metadata["packages"].as_array().unwrap() {
        assert_eq!(package["version"], "9.9.9", "{package}");
    }
    let changelog = clone.read("CHANGELOG.md");
    let unreleased = changelog.find("## [Unreleased]\n\n## [9.9.9] - 2").unwrap();
    assert!(
        changelog[unreleased..].contains("\n### Added\n"),
        "the notes follow"
    );
    assert_eq!(
        clone.read("docs/released/openapi-9.9.9.yaml"),
        clone.read("openapi.yaml")
    );
    let changed = clone.sh("git status --porcelain").await;
    let files = [
        "CHANGELOG.md",
        "Cargo.lock",
        "Cargo.toml",
        "deploy/kubernetes/production/kustomization.yaml",
        "docs/DEPLOY.md",
        "docs/released/openapi-9.9.9.yaml",
        "openapi-internal.yaml",
        "openapi.yaml",
    ];
    let changed: BTreeSet<&str> = changed.lines().map(|line| &line[3..]).collect();
    assert_eq!(changed, BTreeSet::from(files));
    // Nowhere else stands the version that was, except where it is history.
    let grep = format!(
        "git grep --fixed-strings --files-with-matches '{}' -- Cargo.toml '*/Cargo.toml' deploy scripts ':!*/requirements.txt' Makefile \
         Dockerfile README.md CONTRIBUTING.md docs/DEPLOY.md || true",
        old.trim()
    );
    assert_eq!(clone.sh(&grep).await, "");

    // The bill of materials, which the official schema has checked.
    let bill = clone.read("artifacts/release/partner-keys-9.9.9.cdx.json");
    let bill: Value = serde_json::from_str(&bill).unwrap();
    assert_eq!(bill["specVersion"], "1.6");
    assert_eq!(bill["metadata"]["component"]["version"], "9.9.9");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let components = bill["components"].as_array().unwrap();
    let named: BTreeSet<(String, String)> = components
        .iter()
        .map(|component| (text(&component["name"]), text(&component["version"])))
        .collect();
    let lock = clone.read("Cargo.lock");
    let value = |line: Option<&str>| line.unwrap().split('"').nth(1).unwrap().to_owned();
    let locked: BTreeSet<(String, String)> = lock
        .split("[[package]]\n")
        .skip(1)
        .map(|package| {
            let mut lines = package.lines();
            (value(lines.next()), value(lines.next()))
        })
        .collect();
    assert!(locked.len() > 300);
    assert_eq!(named, locked);
    let scope = |name: &str| {
        let found = components
            .iter()
            .find(|component| component["name"] == name);
        found.unwrap()["scope"].clone()
    };
    assert_eq!(
        (scope("sqlx"), scope("proptest")),
        ("required".into(), "excluded".into())
    );
}
