//! Finds the changes in a document that break clients generated from an older one.
//!
//! An old client must continue to work with the new service, and a program must
//! compile with a client generated from the new document. So renaming an operation,
//! a schema or a member is breaking, and so is every difference that is not known to
//! be harmless. References are compared as text, and components by name.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::tree::{REQUEST_MEMBERS, tree};

/// Returns the breaking differences between `old` and `new`, each with its path.
pub fn breaking(old: &Value, new: &Value) -> Vec<String> {
    let mut comparison = Comparison {
        sent_schemas: sent_schemas(new),
        found: Vec::new(),
    };
    comparison.compare(&[], &tree(old), &tree(new));
    comparison.found
}

struct Comparison {
    /// References to the schemas that clients send. Clients only receive the others.
    sent_schemas: BTreeSet<String>,
    found: Vec<String>,
}

impl Comparison {
    fn compare(&mut self, path: &[&str], old: &Value, new: &Value) {
        let (Value::Object(old), Value::Object(new)) = (old, new) else {
            if old != new && !is_harmless(path, new) {
                self.report(path, &format!("was {old}, is {new}"));
            }
            return;
        };
        let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for key in keys {
            let member_path = [path, &[key]].concat();
            let empty = may_grow(&member_path).then(|| json!({}));
            match (
                old.get(key).or(empty.as_ref()),
                new.get(key).or(empty.as_ref()),
            ) {
                (Some(old), Some(new)) => self.compare(&member_path, old, new),
                (Some(_), None) => self.report(&member_path, "was removed"),
                (None, Some(_)) if path.last() == Some(&"security") && !old.is_empty() => {}
                (None, Some(new)) if self.may_be_added(&member_path, new) => {}
                (None, _) => self.report(&member_path, "was added"),
            }
        }
    }

    /// Returns whether this may be added: an operation, a component, or anything that
    /// old clients can ignore.
    fn may_be_added(&self, path: &[&str], new: &Value) -> bool {
        let [parent @ .., last] = path else {
            return false;
        };
        match parent {
            ["paths", _] => true,
            _ if *last == "requestBody" || may_grow(parent) => {
                !(self.is_sent(path) && new["required"] == true)
            }
            _ => false,
        }
    }

    fn is_sent(&self, path: &[&str]) -> bool {
        let within_sent = match path {
            ["components", "schemas", name, ..] => self.sent_schemas.contains(&reference(name)),
            _ => false,
        };
        within_sent || is_request(path)
    }

    fn report(&mut self, path: &[&str], change: &str) {
        self.found.push(format!("{}: {change}", path.join(" ")));
    }
}

/// Returns whether a change to this value is harmless: an optional response header
/// becomes required, or a required part of a request becomes optional.
fn is_harmless(path: &[&str], new: &Value) -> bool {
    let is_response_header = path.contains(&"responses") && path.contains(&"headers");
    path.last() == Some(&"required")
        && ((is_response_header && *new == true) || (is_request(path) && *new == false))
}

fn is_request(path: &[&str]) -> bool {
    path.iter().any(|name| REQUEST_MEMBERS.contains(name))
}

/// Returns whether an object may get new members, and may be missing when empty.
/// Statuses, media types and enum values may not: old clients know only the old ones.
fn may_grow(path: &[&str]) -> bool {
    match path {
        ["components"] | ["components", _] => true,
        [.., last] => ["paths", "parameters", "headers", "properties"].contains(last),
        [] => false,
    }
}

/// Returns the reference to a schema. `name` is quoted, as in a tree.
fn reference(name: &str) -> String {
    format!("#/components/schemas/{}", name.trim_matches('"'))
}

fn sent_schemas(document: &Value) -> BTreeSet<String> {
    let mut sent = BTreeSet::new();
    let mut pending = Vec::new();
    collect_references(document, false, &mut pending);
    while let Some(reference) = pending.pop() {
        let target = document.pointer(reference.trim_start_matches('#'));
        if sent.insert(reference) {
            collect_references(target.unwrap_or(&Value::Null), true, &mut pending);
        }
    }
    sent
}

/// Collects all references in a value or, if `all` is false, those in its requests.
fn collect_references(value: &Value, all: bool, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                match value {
                    Value::String(reference) if all && key == "$ref" => {
                        found.push(reference.clone());
                    }
                    value => {
                        collect_references(
                            value,
                            all || REQUEST_MEMBERS.contains(&key.as_str()),
                            found,
                        );
                    }
                }
            }
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| collect_references(item, all, found)),
        _ => {}
    }
}
