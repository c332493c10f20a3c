//! Checks `docs/CLIENTS.md`. Each code block must be a part of the file that is named
//! before it, and the tests run these files.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tests::repository::{file, read};

use super::CLIENTS;
use super::checks::{CHECKS, Checks, Reaction};

/// A code block, and the path of the file that it is from.
struct Block {
    from: String,
    code: String,
}

/// Returns all code blocks of the guide. Panics if a block names no file.
fn blocks(guide: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut previous_line = "";
    let mut lines = guide.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            let from = previous_line
                .strip_prefix("<!-- from ")
                .and_then(|named| named.strip_suffix(" -->"));
            let from =
                from.unwrap_or_else(|| panic!("a block after {previous_line:?} names no file"));
            let code: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push(Block {
                from: from.to_owned(),
                code: code.join("\n"),
            });
        }
        previous_line = line;
    }
    blocks
}

#[test]
fn every_code_block_is_part_of_a_tested_file() {
    let guide = read("docs/CLIENTS.md");
    let blocks = blocks(&guide);
    for Block { from, code } in &blocks {
        let file = read(from);
        assert!(!code.trim().is_empty(), "the block from {from} is empty");
        assert!(
            file.contains(code.as_str()),
            "{from} does not contain this block:\n{code}"
        );
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
            "the guide must show partner.* and one more file of {client}, but shows {shown:?}"
        );
    }
}

/// Compares the versions in the guide with package.json, requirements.txt and
/// Cargo.lock.
#[test]
fn the_guide_names_the_versions_that_are_pinned() {
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
        "axios",
    ] {
        let (version, quoted) = (&pinned[tool], format!("`{tool}`"));
        let rows = guide.lines().filter(|line| line.starts_with("| ["));
        let mut rows = rows.filter(|row| row.contains(&quoted)).peekable();
        assert!(
            rows.peek().is_some(),
            "the guide's table has no row for {tool}"
        );
        assert!(
            rows.all(|row| row.contains(version)),
            "the guide must name version {version} of {tool}"
        );
    }
}

/// Compares the table of what each client checks with what the tests of the clients expect.
#[test]
fn the_guide_says_what_each_client_checks() {
    let guide = read("docs/CLIENTS.md");
    for Checks {
        row,
        other_type,
        new_value,
        ..
    } in &CHECKS
    {
        let line = guide
            .lines()
            .find(|line| line.starts_with(&format!("| {row} |")));
        let line = line.unwrap_or_else(|| panic!("the guide's table has no row for {row}"));
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        for (cell, reaction) in [(cells[3], other_type), (cells[4], new_value)] {
            let is_rejected = cell.starts_with("rejected");
            assert_eq!(is_rejected, *reaction == Reaction::Rejects, "{row}: {cell}");
        }
    }
}

/// Fails if a client is added to the folder but not to `CLIENTS`.
#[test]
fn every_client_in_the_folder_is_tested() {
    let folder = file("tests/clients");
    let has_run = |name: &String| folder.join(name).join("run").exists();
    let names = std::fs::read_dir(&folder).unwrap().map(|entry| {
        let name = entry.unwrap().file_name();
        name.into_string().unwrap()
    });
    let found: BTreeSet<String> = names.filter(has_run).collect();
    assert_eq!(found, CLIENTS.iter().map(ToString::to_string).collect());
}
