//! `docs/CLIENTS.md` shows nothing that the other suites have not run: each of
//! its blocks of code is taken from a file that is named before it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::CLIENTS;

/// A block of code, and the file that it is said to be from.
struct Block {
    from: String,
    code: String,
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All blocks. One that names no file fails.
fn blocks(guide: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut before = "";
    let mut lines = guide.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            let from = before
                .strip_prefix("<!-- from ")
                .and_then(|named| named.strip_suffix(" -->"));
            let from = from.unwrap_or_else(|| panic!("a block after {before:?} names no file"));
            let code: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push(Block {
                from: from.to_owned(),
                code: code.join("\n"),
            });
        }
        before = line;
    }
    blocks
}

#[test]
fn every_snippet_is_one_that_the_tests_ran() {
    let guide = std::fs::read_to_string(repository().join("docs/CLIENTS.md")).unwrap();
    let blocks = blocks(&guide);
    for Block { from, code } in &blocks {
        let file = std::fs::read_to_string(repository().join(from));
        let file = file.unwrap_or_else(|error| panic!("{from}: {error}"));
        assert!(!code.trim().is_empty(), "an empty block from {from}");
        assert!(file.contains(code.as_str()), "not in {from}:\n{code}");
    }

    for client in CLIENTS {
        let folder = format!("tests/clients/{client}/");
        let shown: Vec<_> = blocks.iter().map(|block| &block.from).collect();
        let shown: Vec<_> = shown
            .iter()
            .filter(|from| from.starts_with(&folder))
            .collect();
        let has_program = shown
            .iter()
            .any(|from| from.to_lowercase().contains("partner."));
        assert!(
            shown.len() >= 2 && has_program,
            "the guide shows too little of {client}: {shown:?}"
        );
    }
}

/// The versions that the tests ran with, wherever each language keeps them.
#[test]
fn the_guide_names_the_versions_that_are_pinned() {
    let read = |file: &str| std::fs::read_to_string(repository().join(file)).unwrap();
    let npm: Value = serde_json::from_str(&read("tests/clients/package.json")).unwrap();
    let npm = npm["devDependencies"].as_object().unwrap();
    let npm = npm
        .iter()
        .map(|(name, version)| (name.clone(), version.as_str().unwrap().into()));
    let pypi = read("tests/clients/requirements.txt");
    let pypi = pypi.lines().filter_map(|line| {
        let (name, version) = line.split_once("==")?;
        let version = version.split_whitespace().next()?;
        Some((name.to_owned(), version.to_owned()))
    });
    let cargo = read("Cargo.lock");
    let (_, progenitor) = cargo
        .split_once("name = \"progenitor\"\nversion = \"")
        .unwrap();
    let progenitor = progenitor.split('"').next().unwrap().to_owned();
    let pinned: BTreeMap<String, String> = npm
        .chain(pypi)
        .chain([("progenitor".to_owned(), progenitor)])
        .collect();

    let guide = read("docs/CLIENTS.md");
    for tool in [
        "openapi-typescript",
        "openapi-fetch",
        "@hey-api/openapi-ts",
        "typescript",
        "openapi-python-client",
        "progenitor",
        "openapi-generator-cli",
    ] {
        let (version, quoted) = (&pinned[tool], format!("`{tool}`"));
        let rows = guide.lines().filter(|line| line.starts_with("| ["));
        let mut rows = rows.filter(|row| row.contains(&quoted)).peekable();
        assert!(
            rows.peek().is_some(),
            "{tool} is in no row of the guide's table"
        );
        assert!(
            rows.all(|row| row.contains(version)),
            "{tool} is {version} now"
        );
    }
}

/// A client that is added to the folder is tested, or this fails.
#[test]
fn every_client_in_the_folder_is_tested() {
    let folder = repository().join("tests/clients");
    let has_run = |name: &String| folder.join(name).join("run").exists();
    let names = std::fs::read_dir(&folder).unwrap().map(|entry| {
        let name = entry.unwrap().file_name();
        name.into_string().unwrap()
    });
    let found: BTreeSet<String> = names.filter(has_run).collect();
    assert_eq!(found, CLIENTS.iter().map(ToString::to_string).collect());
}
