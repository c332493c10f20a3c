use serde_json::{Map, Value};

/// Makes of the document that poem-openapi writes one that client generators
/// read well. What it says stays the same.
pub fn tidy(document: &mut Value) {
    match document {
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(members) => {
            // A reference with a description beside it is written as `allOf` of the
            // two, of which generators make a type of its own. The referenced
            // schema has its own description.
            if let Some(Value::Array(parts)) = members.get("allOf")
                && let Some(reference) = parts.iter().find_map(|part| part.get("$ref")).cloned()
            {
                members.clear();
                members.insert("$ref".into(), reference);
                return;
            }
            // The media type is what generators look for, its parameter is not; and
            // poem-openapi shouts the names of extra headers.
            rename(
                members,
                "application/json; charset=utf-8",
                "application/json",
            );
            rename(members, "X-REQUEST-ID", "X-Request-Id");
            // The default, said of every header.
            if members.get("deprecated") == Some(&Value::Bool(false)) {
                members.shift_remove("deprecated");
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
    use serde_json::json;

    use super::*;

    #[test]
    fn generators_get_plain_references_and_media_types() {
        let mut document = json!({"content": {"application/json; charset=utf-8": {
            "schema": {"allOf": [{"$ref": "#/x"}, {"description": "d"}], "description": "d"},
            "deprecated": false,
        }}});
        tidy(&mut document);
        let expected = json!({"content": {"application/json": {"schema": {"$ref": "#/x"}}}});
        assert_eq!(document, expected);
    }
}
