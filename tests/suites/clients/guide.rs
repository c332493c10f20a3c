//! `docs/CLIENTS.md` shows nothing that the other suites have not run: each of
//! its blocks of code is taken from a file that is named before it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

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
