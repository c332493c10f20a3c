//! The committed document against the last one that was released: whoever has a
//! client of that one must not notice, unless the version says so.

use std::path::Path;

use semver::{Comparator, Op, Version};
use serde_json::Value;

mod comparison;
mod edit;
mod rules;
mod tree;

use comparison::breaking;
use edit::{Edit, edited};

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

/// Whether a document of this version may break what one of `old` promised, as
/// cargo sees it: `^old` does not take it.
fn may_break(version: &Version, old: &Version) -> bool {
    let compatible = Comparator {
        op: Op::Caret,
        major: old.major,
        minor: Some(old.minor),
        patch: Some(old.patch),
        pre: old.pre.clone(),
    };
    version > old && !compatible.matches(version)
}

/// The released document of the highest version.
fn last_released() -> Value {
    let directory = Path::new(ROOT).join("docs/released");
    let files = std::fs::read_dir(directory).expect("docs/released");
    let paths = files.map(|file| file.unwrap().path());
    let documents = paths.filter(|path| path.extension().is_some_and(|it| it == "yaml"));
    let documents = documents.map(|path| {
        let document = read(&path);
        let name = format!("openapi-{}.yaml", version(&document));
        assert_eq!(path.file_name().unwrap(), name.as_str());
        document
    });
    let last = documents.max_by_key(version);
    last.expect("docs/released has no document: run `make release-document`")
}

#[test]
fn the_committed_document_breaks_no_client_of_the_last_released_one() {
    let (old, new) = (last_released(), committed());
    let (was, is) = (version(&old), version(&new));
    assert!(is >= was, "openapi.yaml is {is}, and {was} is released");
    let found = breaking(&old, &new);
    assert!(
        found.is_empty() || may_break(&is, &was),
        "openapi.yaml breaks clients of the released {was}:\n\n  {}\n\nUndo it; or, if it must be, \
         raise the first number of `version` in Cargo.toml that is not zero, and run `make openapi`.",
        found.join("\n  "),
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

#[test]
fn a_version_may_break_once_its_leading_number_that_is_not_zero_is_raised() {
    let rows = [
        ("0.1.0", "0.1.0", false),
        ("0.1.0", "0.1.9", false),
        ("0.1.9", "0.2.0", true),
        ("0.1.0", "1.0.0", true),
        ("0.0.3", "0.0.4", true),
        ("1.2.3", "1.2.4", false),
        ("1.2.3", "1.10.0", false),
        ("1.2.3", "2.0.0", true),
        ("2.0.0", "1.9.0", false),
    ];
    for (old, new, may) in rows {
        let [old, new] = [old, new].map(|text| Version::parse(text).unwrap());
        assert_eq!(may_break(&new, &old), may, "{old} to {new}");
    }
}
