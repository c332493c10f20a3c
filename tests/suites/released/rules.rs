//! Tests which changes are breaking and which are not, by single edits of a small
//! document that has one of each kind of member.

use serde_json::{Value, json};

use super::comparison::breaking;
use super::edit::Edit::{self, Push, Remove, Rename, Reverse, Set};
use super::edit::edited;

fn document() -> Value {
    serde_saphyr::from_str(include_str!("document.yaml")).unwrap()
}

const GET: &str = "/paths/~1parcel/get";
const POST: &str = "/paths/~1parcels/post";
const SCHEMAS: &str = "/components/schemas";

#[test]
fn each_breaking_change_is_found_with_its_path() {
    #[rustfmt::skip]
    let rows: Vec<(&str, &str, Edit, &str)> = vec![
        ("", "/paths/~1parcel", Remove, r#"paths "/parcel": was removed"#),
        ("", "/paths/~1parcel", Rename("/package"), r#"paths "/parcel": was removed"#),
        ("/paths/~1parcel", "/delete", Remove, r#"paths "/parcel" delete: was removed"#),
        (GET, "/operationId", Set(json!("showParcel")), r#"operationId: was "getParcel", is "showParcel""#),
        (GET, "/tags/0", Remove, r#"get tags "Parcels": was removed"#),
        ("", "/servers/0/url", Set(json!("/v2")), r#"servers 0 url: was "/", is "/v2""#),
        // Requests.
        (GET, "/parameters/0", Remove, r#"parameters "query" "lang": was removed"#),
        (GET, "/parameters/0/required", Set(json!(true)), r#""lang" required: was false, is true"#),
        (GET, "/parameters", Push(json!({"name": "x", "in": "query", "required": true})), r#""query" "x": was added"#),
        ("/paths/~1parcel", "/parameters", Push(json!({"$ref": "#/components/parameters/X"})), r##""#/components/parameters/X": was added"##),
        ("/paths/~1parcel/delete", "/parameters", Push(json!({"name": "x", "in": "query", "required": true})), r#""query" "x": was added"#),
        (GET, "/requestBody", Set(json!({"required": true, "content": {}})), "requestBody: was added"),
        (POST, "/requestBody", Remove, "requestBody: was removed"),
        (SCHEMAS, "/Item/required", Set(json!(["name"])), r#""Item" properties "name" required: was false, is true"#),
        (SCHEMAS, "/Item", Set(json!({"type": "object", "required": ["size"], "properties": {"name": {"type": "string"}, "size": {"type": "integer"}}})), r#""Item" properties "size": was added"#),
        // Responses.
        (GET, "/responses/404", Remove, r#"responses "404": was removed"#),
        (GET, "/responses/410", Set(json!({"description": "Was."})), r#"responses "410": was added"#),
        (GET, "/responses/200/content", Remove, r#""200" content: was removed"#),
        (GET, "/responses/200/content/application~1json", Rename("text/plain"), r#"content "application/json": was removed"#),
        (GET, "/responses/200/content/application~1json/schema/$ref", Set(json!("#/components/schemas/Parcel")), r##"schema $ref: was "#/components/schemas/Answer""##),
        (GET, "/responses/200/headers/X-Request-Id", Remove, r#"headers "X-Request-Id": was removed"#),
        (GET, "/responses/200/headers", Remove, r#"headers "Retry-After": was removed"#),
        (GET, "/responses/200/headers/X-Request-Id/required", Remove, r#""X-Request-Id" required: was true, is false"#),
        (GET, "/responses/200/headers/Retry-After/schema/format", Set(json!("date-time")), r#"format: was "uint64", is "date-time""#),
        // Schemas.
        (SCHEMAS, "/Parcel", Rename("Package"), r#"schemas "Parcel": was removed"#),
        (SCHEMAS, "/Parcel/title", Set(json!("Package")), r#"title: was "Parcel", is "Package""#),
        (SCHEMAS, "/Parcel/properties/sent_at", Remove, r#"properties "sent_at": was removed"#),
        (SCHEMAS, "/Parcel/properties/weight", Remove, r#"properties "weight": was removed"#),
        (SCHEMAS, "/Parcel/properties/description", Remove, r#"properties "description": was removed"#),
        (SCHEMAS, "/Parcel/required/1", Remove, r#""sent_at" required: was true, is false"#),
        (SCHEMAS, "/Parcel/required", Push(json!("weight")), r#""weight" required: was false, is true"#),
        (SCHEMAS, "/Parcel/properties/weight/type", Set(json!("number")), r#"type: was "integer", is "number""#),
        (SCHEMAS, "/Parcel/properties/weight/nullable", Set(json!(true)), "nullable: was added"),
        (SCHEMAS, "/Parcel/properties/sent_at/format", Set(json!("date")), r#"format: was "date-time", is "date""#),
        (SCHEMAS, "/Parcel/properties/sent_at/format", Remove, "format: was removed"),
        (SCHEMAS, "/Parcel/properties/weight/format", Set(json!("int32")), "format: was added"),
        (SCHEMAS, "/Parcel/properties/description/pattern", Set(json!("^[A-Z]")), "pattern: was"),
        (SCHEMAS, "/Parcel/additionalProperties", Set(json!(false)), "additionalProperties: was added"),
        (SCHEMAS, "/Parcel/properties/found/enum", Set(json!([false])), r#""found" enum true: was removed"#),
        (SCHEMAS, "/State/enum/1", Remove, r#"enum "lost": was removed"#),
        (SCHEMAS, "/State/enum", Push(json!("found")), r#"enum "found": was added"#),
        (SCHEMAS, "/Answer/oneOf/1", Remove, "oneOf 1: was removed"),
        (SCHEMAS, "/Answer/oneOf", Push(json!({"$ref": "#/components/schemas/Item"})), "oneOf 2: was added"),
        (SCHEMAS, "/Answer/oneOf", Reverse, "oneOf 0 $ref: was"),
        (SCHEMAS, "/Answer/discriminator", Set(json!({"propertyName": "found"})), "discriminator: was added"),
        // The wire stays as it is, but some generators make another type of it.
        (SCHEMAS, "/Answer/oneOf", Rename("anyOf"), r#""Answer" oneOf: was removed"#),
        // Authentication.
        ("/components/securitySchemes", "/Token", Remove, r#"securitySchemes "Token": was removed"#),
        ("/components/securitySchemes", "/Token/scheme", Set(json!("basic")), r#"scheme: was "bearer", is "basic""#),
        (GET, "/security/0", Remove, r#"security {"Token":[]}: was removed"#),
        ("/paths/~1parcel/delete", "/security", Push(json!({"Token": []})), "delete security: was added"),
    ];
    let document = document();
    for (parent, member, edit, expected) in rows {
        let pointer = format!("{parent}{member}");
        let found = breaking(&document, &edited(&document, &pointer, &edit));
        let is_found = found.iter().any(|line| line.contains(expected));
        assert!(is_found, "{pointer}: expected {expected}, found {found:#?}");
    }
}

#[test]
fn changes_that_old_clients_can_ignore_are_not_breaking() {
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
    for (parent, member, edit) in rows {
        let pointer = format!("{parent}{member}");
        let found = breaking(&document, &edited(&document, &pointer, &edit));
        assert!(
            found.is_empty(),
            "{pointer}: expected nothing, found {found:#?}"
        );
    }
}
