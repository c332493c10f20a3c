//! Compares the committed `openapi.yaml` with the last released one. A change must not
//! break clients of the released document, unless the version allows it.

use std::path::Path;

use semver::{Comparator, Op, Version};
use serde_json::Value;
use tests::repository::file;

mod comparison;
mod edit;
mod rules;
mod tree;

use comparison::breaking;
use edit::{Edit, edited};

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

fn committed() -> Value {
    read(&file("openapi.yaml"))
}

fn version(document: &Value) -> Version {
    document["info"]["version"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap()
}

/// Returns whether a document of this version may break clients of version `old`: the
/// version must be higher, and must not match the cargo requirement `^old`.
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

/// Returns the released document with the highest version.
fn last_released() -> Value {
    let files = std::fs::read_dir(file("docs/released")).expect("docs/released");
    let paths = files.map(|file| file.unwrap().path());
    let documents = paths.filter(|path| {
        path.extension()
            .is_some_and(|extension| extension == "yaml")
    });
    let documents = documents.map(|path| {
        let document = read(&path);
        let name = format!("openapi-{}.yaml", version(&document));
        assert_eq!(path.file_name().unwrap(), name.as_str());
        document
    });
    let last = documents.max_by_key(version);
    last.expect("docs/released has no document; run `make release-document`")
}

#[test]
fn the_committed_document_does_not_break_clients_of_the_last_released_one() {
    let (old, new) = (last_released(), committed());
    let (old_version, new_version) = (version(&old), version(&new));
    assert!(
        new_version >= old_version,
        "openapi.yaml has version {new_version}, which is lower than the released {old_version}"
    );
    let found = breaking(&old, &new);
    assert!(
        found.is_empty() || may_break(&new_version, &old_version),
        "openapi.yaml breaks clients of the released {old_version}:\n\n  {}\n\nUndo these \
         changes. If they are necessary, raise the first number of `version` in Cargo.toml that \
         is not zero, and run `make openapi`.",
        found.join("\n  "),
    );
}

/// Tests the comparison on the real document. `rules.rs` tests it on a small one.
#[test]
fn every_removal_from_the_document_is_found() {
    let document = committed();
    let mut pointers = Vec::new();
    for part in ["paths", "components"] {
        collect_pointers(&format!("/{part}"), &document[part], &mut pointers);
    }
    assert!(pointers.len() > 300, "{}", pointers.len());
    // A body that need not be sent any more breaks nobody.
    pointers.retain(|pointer| !pointer.ends_with("/requestBody/required"));
    for pointer in pointers {
        let without = edited(&document, &pointer, &Edit::Remove);
        assert!(!breaking(&document, &without).is_empty(), "{pointer}");
    }
}

/// Collects the JSON pointers of all members in a value, except those only for readers.
fn collect_pointers(parent: &str, value: &Value, found: &mut Vec<String>) {
    let Value::Object(members) = value else {
        return;
    };
    for (key, value) in members {
        // An empty list, such as that of the credentials of an operation that needs none, says
        // the same as a missing one.
        let is_empty = value.as_array().is_some_and(Vec::is_empty);
        if is_empty || tree::IGNORED_MEMBERS.contains(&key.as_str()) {
            continue;
        }
        let pointer = format!("{parent}/{}", key.replace('/', "~1"));
        collect_pointers(&pointer, value, found);
        found.push(pointer);
    }
}

#[test]
fn a_version_may_break_clients_if_its_first_nonzero_number_is_raised() {
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
    for (old, new, expected) in rows {
        let [old, new] = [old, new].map(|text| Version::parse(text).unwrap());
        assert_eq!(may_break(&new, &old), expected, "{old} to {new}");
    }
}
