//! A document in a form that can be compared member by member: without what is
//! for people, lists as objects, and `required` where it belongs.

use serde_json::{Map, Value};

/// What takes part. The rest is about the document.
const PARTS: [&str; 4] = ["servers", "security", "paths", "components"];

/// What is for people. `title` is not: it names classes in generated clients.
pub const WORDS: [&str; 7] = [
    "bearerFormat",
    "deprecated",
    "description",
    "example",
    "examples",
    "externalDocs",
    "summary",
];

/// Members whose own members are named by us. Those names are quoted in a tree,
/// so that a property may be called `description`.
const NAMED: [&str; 10] = [
    "content",
    "headers",
    "mapping",
    "parameters",
    "paths",
    "properties",
    "requestBodies",
    "responses",
    "schemas",
    "securitySchemes",
];

/// Members that say what clients send.
pub const REQUEST: [&str; 3] = ["parameters", "requestBody", "requestBodies"];

/// Lists whose order means nothing. That of `oneOf` does: some clients try one
/// after the other.
const SETS: [&str; 3] = ["enum", "security", "tags"];

/// The tree of a document.
pub fn tree(document: &Value) -> Value {
    let parts = PARTS.iter().filter_map(|part| {
        let value = document.get(part)?;
        Some(((*part).to_owned(), member(part, value)))
    });
    Value::Object(parts.collect())
}

/// The tree of what is at a key that means something in `OpenAPI`.
fn member(key: &str, value: &Value) -> Value {
    let mut tree = match value {
        Value::Object(named) if NAMED.contains(&key) => {
            let quoted = named
                .iter()
                .map(|(name, value)| (quote(name), thing(value)));
            Value::Object(quoted.collect())
        }
        Value::Array(items) => {
            let items = items.iter().enumerate().map(|(index, item)| match key {
                "parameters" => (parameter(item), thing(item)),
                key if SETS.contains(&key) => (item.to_string(), Value::Bool(true)),
                _ => (index.to_string(), thing(item)),
            });
            Value::Object(items.collect())
        }
        value => thing(value),
    };
    match (key, &mut tree) {
        ("requestBody", body) => say_if_required(body, false),
        ("headers" | "parameters" | "requestBodies", Value::Object(named)) => {
            // Of one that is a reference it is not known here: the strict side.
            for named in named.values_mut() {
                let reference = named.get("$ref").is_some();
                say_if_required(named, reference);
            }
        }
        _ => {}
    }
    tree
}

fn thing(value: &Value) -> Value {
    let Value::Object(members) = value else {
        return value.clone();
    };
    let mut tree: Map<String, Value> = members
        .iter()
        .filter(|(key, _)| !WORDS.contains(&key.as_str()) && !key.starts_with("x-"))
        .filter(|(key, value)| !(*key == "required" && value.is_array()))
        .map(|(key, value)| (key.clone(), member(key, value)))
        .collect();
    if let Some(Value::Object(properties)) = tree.get_mut("properties") {
        let required = members.get("required").and_then(Value::as_array);
        for (name, property) in properties {
            let is_it = |item: &Value| item.as_str().is_some_and(|item| quote(item) == *name);
            say_if_required(
                property,
                required.is_some_and(|list| list.iter().any(is_it)),
            );
        }
    }
    Value::Object(tree)
}

/// Where nothing is said, it is said.
fn say_if_required(thing: &mut Value, required: bool) {
    if let Value::Object(members) = thing {
        members.entry("required").or_insert(Value::Bool(required));
    }
}

/// What tells a parameter from the others of its operation.
fn parameter(item: &Value) -> String {
    match item.get("$ref") {
        Some(reference) => reference.to_string(),
        None => format!("{} {}", item["in"], item["name"]),
    }
}

fn quote(name: &str) -> String {
    format!("\"{name}\"")
}
