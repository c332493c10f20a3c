//! What a new document breaks for those who have a client of an older one.
//!
//! The client that they have must go on working, and what they wrote must
//! compile over the client that they generate tomorrow. So names count as much
//! as types do, those of operations and schemas too, and every difference is
//! breaking that is not known to be harmless. References are compared as they
//! stand, and each component by its name.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::tree::{REQUEST, tree};

/// The breaking differences of `new` from `old`, each with its place.
pub fn breaking(old: &Value, new: &Value) -> Vec<String> {
    let mut comparison = Comparison {
        sent: sent_schemas(new),
        found: Vec::new(),
    };
    comparison.compare(&[], &tree(old), &tree(new));
    comparison.found
}

struct Comparison {
    /// References to the schemas of what clients send. The others they receive.
    sent: BTreeSet<String>,
    found: Vec<String>,
}

impl Comparison {
    fn compare(&mut self, place: &[&str], old: &Value, new: &Value) {
        let (Value::Object(old), Value::Object(new)) = (old, new) else {
            if old != new && !is_harmless(place, new) {
                self.report(place, &format!("was {old}, is {new}"));
            }
            return;
        };
        let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for key in keys {
            let here = [place, &[key]].concat();
            let none = may_grow(&here).then(|| json!({}));
            match (
                old.get(key).or(none.as_ref()),
                new.get(key).or(none.as_ref()),
            ) {
                (Some(old), Some(new)) => self.compare(&here, old, new),
                (Some(_), None) => self.report(&here, "is gone"),
                (None, Some(_)) if place.last() == Some(&"security") && !old.is_empty() => {}
                (None, Some(new)) if self.may_come(&here, new) => {}
                (None, _) => self.report(&here, "is new"),
            }
        }
    }

    /// Whether this may be added: operations, components, and what clients need
    /// not know of.
    fn may_come(&self, place: &[&str], new: &Value) -> bool {
        let [around @ .., last] = place else {
            return false;
        };
        match around {
            ["paths", _] => true,
            _ if *last == "requestBody" || may_grow(around) => {
                !(self.is_sent(place) && new["required"] == true)
            }
            _ => false,
        }
    }

    fn is_sent(&self, place: &[&str]) -> bool {
        let within_sent = match place {
            ["components", "schemas", name, ..] => self.sent.contains(&reference(name)),
            _ => false,
        };
        within_sent || is_request(place)
    }

    fn report(&mut self, place: &[&str], what: &str) {
        self.found.push(format!("{}: {what}", place.join(" ")));
    }
}

/// Whether a change to this value is no harm: a header that may be missing then
/// always comes, or what had to be sent may then be left out.
fn is_harmless(place: &[&str], new: &Value) -> bool {
    let header = place.contains(&"responses") && place.contains(&"headers");
    place.last() == Some(&"required")
        && ((header && *new == true) || (is_request(place) && *new == false))
}

fn is_request(place: &[&str]) -> bool {
    place.iter().any(|name| REQUEST.contains(name))
}

/// What may have new members, and none at all. Statuses, media types and the
/// values of an enum are not among it: clients know all that there are.
fn may_grow(place: &[&str]) -> bool {
    match place {
        ["components"] | ["components", _] => true,
        [.., last] => ["paths", "parameters", "headers", "properties"].contains(last),
        [] => false,
    }
}

/// A reference to the schema that a tree has under this name, which is quoted.
fn reference(name: &str) -> String {
    format!("#/components/schemas/{}", name.trim_matches('"'))
}

fn sent_schemas(document: &Value) -> BTreeSet<String> {
    let mut sent = BTreeSet::new();
    let mut open = Vec::new();
    collect_references(document, false, &mut open);
    while let Some(reference) = open.pop() {
        let target = document.pointer(reference.trim_start_matches('#'));
        if sent.insert(reference) {
            collect_references(target.unwrap_or(&Value::Null), true, &mut open);
        }
    }
    sent
}

/// The references in a value, or only those in its requests.
fn collect_references(value: &Value, all: bool, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                match value {
                    Value::String(reference) if all && key == "$ref" => {
                        found.push(reference.clone());
                    }
                    value => {
                        collect_references(value, all || REQUEST.contains(&key.as_str()), found);
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
