use serde_json::{Map, Value, json};

/// Rewrites the document of poem-openapi for client generators. Its meaning stays
/// the same.
pub fn tidy(document: &mut Value) {
    match document {
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(members) => {
            // poem-openapi writes a reference with a description as `allOf` of the
            // two. Generators would make an additional type of it. The description
            // is not needed: the referenced schema has its own.
            if let Some(Value::Array(parts)) = members.get("allOf")
                && let Some(reference) = parts.iter().find_map(|part| part.get("$ref")).cloned()
            {
                members.clear();
                members.insert("$ref".into(), reference);
                return;
            }
            // Generators look for the media type without its parameter. poem-openapi
            // writes the names of extra headers in capitals.
            rename(
                members,
                "application/json; charset=utf-8",
                "application/json",
            );
            rename(members, "X-REQUEST-ID", "X-Request-Id");
            // These are the defaults.
            if members.get("deprecated") == Some(&Value::Bool(false)) {
                members.shift_remove("deprecated");
            }
            // Linters want an operation without credentials to say that it has none.
            if members.contains_key("operationId") && !members.contains_key("security") {
                members.insert("security".into(), json!([]));
            }
            if let Some(Value::Object(body)) = members.get_mut("requestBody")
                && body.get("required") == Some(&Value::Bool(false))
            {
                body.shift_remove("required");
            }
            members.values_mut().for_each(tidy);
        }
        _ => {}
    }
}

fn rename(members: &mut Map<String, Value>, from: &str, to: &str) {
    if let Some(value) = members.shift_remove(from) {
        members.insert(to.into(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_and_media_types_become_plain() {
        let mut document = json!({"content": {"application/json; charset=utf-8": {
            "schema": {"allOf": [{"$ref": "#/x"}, {"description": "d"}], "description": "d"},
            "deprecated": false,
        }}});
        tidy(&mut document);
        let expected = json!({"content": {"application/json": {"schema": {"$ref": "#/x"}}}});
        assert_eq!(document, expected);
    }
}
