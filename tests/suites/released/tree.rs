//! Converts a document to a tree that can be compared member by member. The tree omits
//! text for readers, has objects in place of lists, and has `required` on each property.

use serde_json::{Map, Value};

/// The compared parts. The others describe the document itself.
const PARTS: [&str; 4] = ["servers", "security", "paths", "components"];

/// The members that are only for readers. `title` is not one of them: it names classes
/// in generated clients.
pub const IGNORED_MEMBERS: [&str; 7] = [
    "bearerFormat",
    "deprecated",
    "description",
    "example",
    "examples",
    "externalDocs",
    "summary",
];

/// The members that map names to objects. A tree quotes these names, so that a
/// property may be called `description`.
const MAPS_BY_NAME: [&str; 10] = [
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

/// The members that describe requests.
pub const REQUEST_MEMBERS: [&str; 3] = ["parameters", "requestBody", "requestBodies"];

/// The lists whose order does not matter. The order of `oneOf` does: some clients try
/// its schemas in order.
const UNORDERED_LISTS: [&str; 3] = ["enum", "security", "tags"];

/// Returns the tree of a document.
pub fn tree(document: &Value) -> Value {
    let parts = PARTS.iter().filter_map(|part| {
        let value = document.get(part)?;
        Some(((*part).to_owned(), member_tree(part, value)))
    });
    Value::Object(parts.collect())
}

/// Returns the tree of the value at a key of the `OpenAPI` specification.
fn member_tree(key: &str, value: &Value) -> Value {
    let mut tree = match value {
        Value::Object(named) if MAPS_BY_NAME.contains(&key) => {
            let quoted = named
                .iter()
                .map(|(name, value)| (quote(name), object_tree(value)));
            Value::Object(quoted.collect())
        }
        Value::Array(items) => {
            let items = items.iter().enumerate().map(|(index, item)| match key {
                "parameters" => (parameter_key(item), object_tree(item)),
                key if UNORDERED_LISTS.contains(&key) => (item.to_string(), Value::Bool(true)),
                _ => (index.to_string(), object_tree(item)),
            });
            Value::Object(items.collect())
        }
        value => object_tree(value),
    };
    match (key, &mut tree) {
        ("requestBody", body) => set_default_required(body, false),
        ("headers" | "parameters" | "requestBodies", Value::Object(named)) => {
            // The target of a reference is not known here, so assume that it is required.
            for named in named.values_mut() {
                let is_reference = named.get("$ref").is_some();
                set_default_required(named, is_reference);
            }
        }
        _ => {}
    }
    tree
}

/// Returns the tree of an object, or a copy of any other value.
fn object_tree(value: &Value) -> Value {
    let Value::Object(members) = value else {
        return value.clone();
    };
    let mut tree: Map<String, Value> = members
        .iter()
        .filter(|(key, _)| !IGNORED_MEMBERS.contains(&key.as_str()) && !key.starts_with("x-"))
        .filter(|(key, value)| !(*key == "required" && value.is_array()))
        .map(|(key, value)| (key.clone(), member_tree(key, value)))
        .collect();
    if let Some(Value::Object(properties)) = tree.get_mut("properties") {
        let required = members.get("required").and_then(Value::as_array);
        for (name, property) in properties {
            let is_name = |item: &Value| item.as_str().is_some_and(|item| quote(item) == *name);
            set_default_required(
                property,
                required.is_some_and(|list| list.iter().any(is_name)),
            );
        }
    }
    Value::Object(tree)
}

/// Adds the member `required` if it is missing.
fn set_default_required(object: &mut Value, required: bool) {
    if let Value::Object(members) = object {
        members.entry("required").or_insert(Value::Bool(required));
    }
}

/// Returns a key that distinguishes a parameter from the others of its operation.
fn parameter_key(item: &Value) -> String {
    match item.get("$ref") {
        Some(reference) => reference.to_string(),
        None => format!("{} {}", item["in"], item["name"]),
    }
}

fn quote(name: &str) -> String {
    format!("\"{name}\"")
}
