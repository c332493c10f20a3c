//! What counts as breaking, and what does not: one change after the other, to a
//! small document that has one of each thing.

use serde_json::{Value, json};

use super::comparison::breaking;
use super::edit::Edit::{self, Push, Remove, Rename, Reverse, Set};
use super::edit::edited;

fn document() -> Value {
    serde_yaml::from_str(include_str!("document.yaml")).unwrap()
}

const GET: &str = "/paths/~1parcel/get";
const POST: &str = "/paths/~1parcels/post";
const SCHEMAS: &str = "/components/schemas";

#[test]
fn each_breaking_change_is_found_where_it_is() {
    #[rustfmt::skip]
    let rows: Vec<(&str, &str, Edit, &str)> = vec![
        ("", "/paths/~1parcel", Remove, r#"paths "/parcel": is gone"#),
        ("", "/paths/~1parcel", Rename("/package"), r#"paths "/parcel": is gone"#),
        ("/paths/~1parcel", "/delete", Remove, r#"paths "/parcel" delete: is gone"#),
        (GET, "/operationId", Set(json!("showParcel")), r#"operationId: was "getParcel", is "showParcel""#),
        (GET, "/tags/0", Remove, r#"get tags "Parcels": is gone"#),
        ("", "/servers/0/url", Set(json!("/v2")), r#"servers 0 url: was "/", is "/v2""#),
        // Requests.
        (GET, "/parameters/0", Remove, r#"parameters "query" "lang": is gone"#),
        (GET, "/parameters/0/required", Set(json!(true)), r#""lang" required: was false, is true"#),
        (GET, "/parameters", Push(json!({"name": "x", "in": "query", "required": true})), r#""query" "x": is new"#),
        ("/paths/~1parcel", "/parameters", Push(json!({"$ref": "#/components/parameters/X"})), r##""#/components/parameters/X": is new"##),
        ("/paths/~1parcel/delete", "/parameters", Push(json!({"name": "x", "in": "query", "required": true})), r#""query" "x": is new"#),
        (GET, "/requestBody", Set(json!({"required": true, "content": {}})), "requestBody: is new"),
        (POST, "/requestBody", Remove, "requestBody: is gone"),
        (SCHEMAS, "/Item/required", Set(json!(["name"])), r#""Item" properties "name" required: was false, is true"#),
        (SCHEMAS, "/Item", Set(json!({"type": "object", "required": ["size"], "properties": {"name": {"type": "string"}, "size": {"type": "integer"}}})), r#""Item" properties "size": is new"#),
        // Responses.
        (GET, "/responses/404", Remove, r#"responses "404": is gone"#),
        (GET, "/responses/410", Set(json!({"description": "Was."})), r#"responses "410": is new"#),
        (GET, "/responses/200/content", Remove, r#""200" content: is gone"#),
        (GET, "/responses/200/content/application~1json", Rename("text/plain"), r#"content "application/json": is gone"#),
        (GET, "/responses/200/content/application~1json/schema/$ref", Set(json!("#/components/schemas/Parcel")), r##"schema $ref: was "#/components/schemas/Answer""##),
        (GET, "/responses/200/headers/X-Request-Id", Remove, r#"headers "X-Request-Id": is gone"#),
        (GET, "/responses/200/headers", Remove, r#"headers "Retry-After": is gone"#),
        (GET, "/responses/200/headers/X-Request-Id/required", Remove, r#""X-Request-Id" required: was true, is false"#),
        (GET, "/responses/200/headers/Retry-After/schema/format", Set(json!("date-time")), r#"format: was "uint64", is "date-time""#),
        // Schemas.
        (SCHEMAS, "/Parcel", Rename("Package"), r#"schemas "Parcel": is gone"#),
        (SCHEMAS, "/Parcel/title", Set(json!("Package")), r#"title: was "Parcel", is "Package""#),
        (SCHEMAS, "/Parcel/properties/sent_at", Remove, r#"properties "sent_at": is gone"#),
        (SCHEMAS, "/Parcel/properties/weight", Remove, r#"properties "weight": is gone"#),
        (SCHEMAS, "/Parcel/properties/description", Remove, r#"properties "description": is gone"#),
        (SCHEMAS, "/Parcel/required/1", Remove, r#""sent_at" required: was true, is false"#),
        (SCHEMAS, "/Parcel/required", Push(json!("weight")), r#""weight" required: was false, is true"#),
        (SCHEMAS, "/Parcel/properties/weight/type", Set(json!("number")), r#"type: was "integer", is "number""#),
        (SCHEMAS, "/Parcel/properties/weight/nullable", Set(json!(true)), "nullable: is new"),
        (SCHEMAS, "/Parcel/properties/sent_at/format", Set(json!("date")), r#"format: was "date-time", is "date""#),
        (SCHEMAS, "/Parcel/properties/sent_at/format", Remove, "format: is gone"),
        (SCHEMAS, "/Parcel/properties/weight/format", Set(json!("int32")), "format: is new"),
        (SCHEMAS, "/Parcel/properties/description/pattern", Set(json!("^[A-Z]")), "pattern: was"),
        (SCHEMAS, "/Parcel/additionalProperties", Set(json!(false)), "additionalProperties: is new"),
        (SCHEMAS, "/Parcel/properties/found/enum", Set(json!([false])), r#""found" enum true: is gone"#),
        (SCHEMAS, "/State/enum/1", Remove, r#"enum "lost": is gone"#),
        (SCHEMAS, "/State/enum", Push(json!("found")), r#"enum "found": is new"#),
        (SCHEMAS, "/Answer/oneOf/1", Remove, "oneOf 1: is gone"),
        (SCHEMAS, "/Answer/oneOf", Push(json!({"$ref": "#/components/schemas/Item"})), "oneOf 2: is new"),
        (SCHEMAS, "/Answer/oneOf", Reverse, "oneOf 0 $ref: was"),
        (SCHEMAS, "/Answer/discriminator", Set(json!({"propertyName": "found"})), "discriminator: is new"),
        // Who may call.
        ("/components/securitySchemes", "/Token", Remove, r#"securitySchemes "Token": is gone"#),
        ("/components/securitySchemes", "/Token/scheme", Set(json!("basic")), r#"scheme: was "bearer", is "basic""#),
        (GET, "/security/0", Remove, r#"security {"Token":[]}: is gone"#),
        ("/paths/~1parcel/delete", "/security", Push(json!({"Token": []})), "delete security: is new"),
    ];
    let document = document();
    for (around, pointer, edit, expected) in rows {
        let at = format!("{around}{pointer}");
        let found = breaking(&document, &edited(&document, &at, &edit));
        let is_it = |line: &String| line.contains(expected);
        assert!(found.iter().any(is_it), "{at}: {expected}: {found:#?}");
    }
}

#[test]
fn what_old_clients_need_not_know_is_no_breaking_change() {
    #[rustfmt::skip]
    let rows: Vec<(&str, &str, Edit)> = vec![
        ("", "/info/version", Set(json!("1.5.0"))),
        ("", "/info/description", Set(json!("Sends parcels."))),
        ("", "/tags/0/description", Set(json!("What is sent."))),
        ("", "/servers/0/description", Set(json!("This one."))),
        ("", "/paths/~1stamps", Set(json!({"get": {"operationId": "listStamps", "responses": {}}}))),
        ("/paths/~1parcel", "/post", Set(json!({"operationId": "wrapParcel", "responses": {}}))),
        (GET, "/summary", Set(json!("Show it"))),
        (GET, "/description", Set(json!("Shows it."))),
        (GET, "/deprecated", Set(json!(true))),
        (GET, "/x-internal", Set(json!(true))),
        (GET, "/parameters", Push(json!({"name": "x", "in": "query"}))),
        (GET, "/parameters", Reverse),
        (GET, "/parameters/1/required", Set(json!(false))),
        (GET, "/requestBody", Set(json!({"content": {}}))),
        (POST, "/requestBody/required", Remove),
        (GET, "/security", Push(json!({"Cookie": []}))),
        (GET, "/responses/200/description", Set(json!("It."))),
        (GET, "/responses/200/content/application~1json/example", Set(json!({"found": false}))),
        (GET, "/responses/200/content/application~1json/examples", Set(json!({"none": {"value": {"found": false}}}))),
        (GET, "/responses/200/headers/X-New", Set(json!({"schema": {"type": "string"}}))),
        (GET, "/responses/404/headers", Set(json!({"X-New": {"required": true, "schema": {"type": "string"}}}))),
        (GET, "/responses/200/headers/Retry-After/required", Set(json!(true))),
        (SCHEMAS, "/Stamp", Set(json!({"type": "object"}))),
        (SCHEMAS, "/Parcel/description", Set(json!("What is sent."))),
        (SCHEMAS, "/Parcel/properties/sent_at/description", Remove),
        (SCHEMAS, "/Parcel/properties/weight/example", Set(json!(5))),
        (SCHEMAS, "/Parcel/properties/height", Set(json!({"type": "integer"}))),
        (SCHEMAS, "/Nothing", Set(json!({"type": "object", "required": ["found", "why"], "properties": {"found": {"type": "boolean", "enum": [false]}, "why": {"type": "string"}}}))),
        (SCHEMAS, "/Item/properties/size", Set(json!({"type": "integer"}))),
        (SCHEMAS, "/State/enum", Reverse),
        (SCHEMAS, "/Parcel/required", Reverse),
        ("/components/securitySchemes", "/Cookie", Set(json!({"type": "apiKey", "in": "cookie", "name": "s"}))),
        ("/components/securitySchemes", "/Token/bearerFormat", Set(json!("JWT"))),
    ];
    let document = document();
    for (around, pointer, edit) in rows {
        let at = format!("{around}{pointer}");
        let found = breaking(&document, &edited(&document, &at, &edit));
        assert!(found.is_empty(), "{at}: {found:#?}");
    }
}
