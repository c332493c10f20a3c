//! The Dockerfile. hadolint checks it, and buildah builds the image on stand-ins for the base
//! images, which cannot be pulled everywhere: `tests/deploy/image` makes them.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tests::process::binary;
use tests::repository::{file, read};
use tests::tool::{fails, succeeds};
use tokio::process::Command;

use super::{TIMEOUT, tool};

#[tokio::test]
async fn hadolint_finds_no_problem() {
    succeeds(
        "hadolint",
        tool("hadolint").arg(file("Dockerfile")),
        TIMEOUT,
    )
    .await;

    let worse = tests::scratch();
    let worse = worse.path().join("Dockerfile");
    std::fs::write(&worse, read("Dockerfile").replace("DL3008", "DL3007")).unwrap();
    let found = fails("hadolint", tool("hadolint").arg(&worse), TIMEOUT).await;
    assert!(found.contains("DL3008"), "{found}");
}

#[tokio::test]
async fn the_image_is_built_and_its_programs_run_without_root() {
    let dir = tests::scratch();
    let binaries = binary("api");
    let mut image = Command::new(file("tests/deploy/image"));
    image.arg(dir.path()).arg(binaries.parent().unwrap());
    let image = succeeds("tests/deploy/image", &mut image, TIMEOUT).await;
    let image: Value = serde_json::from_str(&image).unwrap();
    let config = &image["OCIv1"]["config"];
    let (user, group) = config["User"].as_str().unwrap().split_once(':').unwrap();
    for id in [user, group] {
        // Kubernetes cannot see of a name that it is not root.
        assert!(id.parse::<u32>().unwrap() > 0, "{id}");
    }
    // Without a shell in between, signals reach the program.
    assert_eq!(config["Cmd"], json!(["api"]));
    assert_eq!(config["StopSignal"], "SIGTERM");
    let label = |name: &str| &config["Labels"][format!("org.opencontainers.image.{name}")];
    assert_eq!(label("version"), "1.2.3");
    assert_eq!(label("revision"), "0123456789ab");
    assert_eq!(label("licenses"), "MIT");
}

#[test]
fn the_image_is_built_with_the_compiler_that_the_crates_need() {
    let (dockerfile, manifest) = (read("Dockerfile"), read("Cargo.toml"));
    let (_, version) = manifest.split_once("rust-version = \"").unwrap();
    let (version, _) = version.split_once('"').unwrap();
    let image = format!("/rust:{version}-");
    assert!(dockerfile.contains(&image), "the image is not {image}");
}

/// What is compiled must not be left out of the context of the build.
#[tokio::test]
async fn the_context_of_the_build_has_what_the_build_reads() {
    let ignore = Ignore::read();
    let mut git = Command::new("git");
    git.current_dir(file(""));
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let files = succeeds("git", &mut git, TIMEOUT).await;
    let sent: BTreeSet<&str> = files.lines().filter(|path| ignore.sends(path)).collect();

    // The compiler's list of the files that it read for a binary.
    let root = file("").canonicalize().unwrap();
    let prefix = format!("{}/", root.display());
    let mut seen = 0;
    for name in ["api", "worker"] {
        let list = binary(name).with_extension("d");
        let list = std::fs::read_to_string(list).unwrap();
        // A file that is included from elsewhere has `..` in its path.
        let read = list.split_whitespace().filter_map(|path| {
            let path = std::fs::canonicalize(path).ok()?;
            Some(path.to_str()?.strip_prefix(&prefix)?.to_owned())
        });
        for path in read.filter(|path| !path.starts_with(".git/") && !path.starts_with("target/")) {
            assert!(sent.contains(&*path), "{name} is compiled from {path}");
            seen += 1;
        }
    }
    assert!(seen > 100, "the lists name {seen} files");

    // Cargo reads the manifests of all crates, and looks for their targets.
    let context = tests::scratch();
    for path in &sent {
        let copy = context.path().join(path);
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        std::fs::copy(root.join(path), copy).unwrap();
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(context.path());
    cargo.args([
        "metadata",
        "--locked",
        "--offline",
        "--no-deps",
        "--format-version=1",
    ]);
    succeeds("cargo metadata", &mut cargo, TIMEOUT).await;

    for never in [
        ".env",
        "tests/deploy/.venv/bin/pip",
        "deploy/compose/secrets/svix_token",
    ] {
        assert!(!ignore.sends(never), "{never} is sent");
    }
}

/// The patterns of `.dockerignore`, as far as ours need them: `**/` at the beginning, and
/// `*` at the end of a name.
struct Ignore(Vec<String>);

impl Ignore {
    fn read() -> Self {
        let text = read(".dockerignore");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self(lines.map(str::to_owned).collect())
    }

    /// Returns whether this path is in the context: the last pattern that matches decides.
    fn sends(&self, path: &str) -> bool {
        let pattern = self.0.iter().rev().find(|pattern| {
            let pattern = pattern.trim_start_matches('!');
            match pattern.strip_prefix("**/") {
                Some(name) => path.split('/').any(|part| part == name),
                None => begins(path, pattern),
            }
        });
        pattern.is_none_or(|pattern| pattern.starts_with('!'))
    }
}

/// Returns whether the first components of `path` match those of `pattern`.
fn begins(path: &str, pattern: &str) -> bool {
    let mut parts = path.split('/');
    pattern.split('/').all(|wanted| {
        let Some(part) = parts.next() else {
            return false;
        };
        match wanted.split_once('*') {
            Some((start, end)) => part.starts_with(start) && part.ends_with(end),
            None => part == wanted,
        }
    })
}
