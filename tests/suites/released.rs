//! The committed document against the last one that was released: whoever has a
//! client of that one must not notice, unless the version says so.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used)] // a panic is a failed test

use std::path::Path;

use serde_json::Value;

#[path = "released/comparison.rs"]
mod comparison;
#[path = "released/edit.rs"]
mod edit;
#[path = "released/rules.rs"]
mod rules;
#[path = "released/tree.rs"]
mod tree;
#[path = "released/version.rs"]
mod version;

use comparison::breaking;
use edit::{Edit, edited};
use version::Version;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap();
    serde_yaml::from_str(&text).unwrap()
}

fn committed() -> Value {
    read(&Path::new(ROOT).join("openapi.yaml"))
}

fn version(document: &Value) -> Version {
    document["info"]["version"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap()
}

/// The released document of the highest version.
fn last_released() -> Value {
    let directory = Path::new(ROOT).join("docs/released");
    let files = std::fs::read_dir(directory).unwrap();
    let documents = files.map(|file| {
        let path = file.unwrap().path();
        let document = read(&path);
        let name = format!("openapi-{}.yaml", version(&document));
        assert_eq!(path.file_name().unwrap(), name.as_str());
        document
    });
    documents.max_by_key(version).unwrap()
}

#[test]
fn the_committed_document_breaks_no_client_of_the_last_released_one() {
    let (old, new) = (last_released(), committed());
    let (was, is) = (version(&old), version(&new));
    assert!(is >= was, "openapi.yaml is {is}, and {was} is released");
    let found = breaking(&old, &new);
    assert!(
        found.is_empty() || is.may_break(was),
        "openapi.yaml breaks clients of the released {was}:\n\n  {}\n\nUndo it; or, if it must be, \
         raise `version` in Cargo.toml to {} and run `make openapi`.",
        found.join("\n  "),
        was.next_that_may_break(),
    );
}

/// The rules are tested on a small document; this is the real one.
#[test]
fn whatever_is_taken_out_of_the_document_is_found() {
    let document = committed();
    let mut places = Vec::new();
    for part in ["paths", "components"] {
        collect_places(&format!("/{part}"), &document[part], &mut places);
    }
    assert!(places.len() > 300, "{}", places.len());
    for place in places {
        let without = edited(&document, &place, &Edit::Remove);
        assert!(!breaking(&document, &without).is_empty(), "{place}");
    }
}

/// The pointers to all that is in a value, but for words.
fn collect_places(at: &str, value: &Value, found: &mut Vec<String>) {
    let Value::Object(members) = value else {
        return;
    };
    for (key, value) in members {
        if tree::WORDS.contains(&key.as_str()) {
            continue;
        }
        let place = format!("{at}/{}", key.replace('/', "~1"));
        collect_places(&place, value, found);
        found.push(place);
    }
}
