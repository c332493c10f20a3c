//! The OpenAPI document. The committed, the served and the printed one are equal,
//! and agree with the contract.

mod health;

use std::collections::BTreeSet;

use reqwest::{Method, RequestBuilder};
use rstest::rstest;
use serde_json::{Value, json};
use tests::Kind::{self, Embedded, Production};
use tests::client::{KEY_PATH, LEAKS_PATH, OPERATIONS, PORTAL_PATH};
use tests::repository::read;
use tests::{Deployment, Plan, Process, scratch};

/// The ids of [`operations`].
const OPERATION_IDS: [&str; 8] = [
    "createPartnerApiKey",
    "getPartnerApiKey",
    "deletePartnerApiKey",
    "startPartnerApiKeyRotation",
    "finishPartnerApiKeyRotation",
    "cancelPartnerApiKeyRotation",
    "getPartnerPortal",
    "reportLeakedPartnerApiKeys",
];

/// Returns all operations: those that need a credential, and the one that needs none.
fn operations() -> impl Iterator<Item = (Method, &'static str)> {
    OPERATIONS.into_iter().chain([(Method::POST, LEAKS_PATH)])
}

/// Reads the committed document.
fn committed() -> String {
    read("openapi.yaml")
}

/// Parses the committed document.
fn document() -> Value {
    serde_saphyr::from_str(&committed()).unwrap()
}

async fn get(deployment: &Deployment, path: &str) -> tests::Answer {
    let client = &deployment.client;
    let answer = client
        .send(reqwest::Method::GET, path, |request| request)
        .await;
    assert_eq!(answer.status, 200, "{path}");
    answer
}

#[rstest]
#[tokio::test]
async fn the_committed_document_is_served(#[values(Production, Embedded)] kind: Kind) {
    let deployment = match kind {
        Production => Deployment::planned(Plan::default()).await,
        Embedded => Deployment::start(kind).await,
    };
    let yaml = get(&deployment, "/openapi.yaml").await;
    assert!(
        yaml.text == committed(),
        "openapi.yaml is out of date: run `make openapi`"
    );
    assert_eq!(
        yaml.header("content-type"),
        Some("application/yaml; charset=utf-8")
    );
    let json = get(&deployment, "/openapi.json").await;
    assert_eq!(
        json.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    assert_eq!(json.body, document());
}

#[tokio::test]
async fn the_committed_document_is_printed_by_the_api() {
    let dir = scratch();
    let (status, printed, log) = Process::start(dir.path(), "api", &["openapi"], &[])
        .run()
        .await;
    assert!(status.success(), "{log}");
    assert!(
        printed == committed(),
        "openapi.yaml is out of date: run `make openapi`"
    );
}

#[test]
fn the_operations_have_their_ids_statuses_and_callers() {
    let document = document();
    let session = json!([{"SessionBearer": []}, {"SessionCookie": []}]);
    let statuses: [&[u16]; 8] = [
        &[201, 400, 401, 403, 409, 413, 429, 500, 503],
        &[200, 400, 401, 413, 429, 500, 503],
        &[200, 400, 401, 403, 413, 429, 500, 503],
        &[201, 400, 401, 403, 404, 409, 413, 429, 500, 503],
        &[200, 400, 401, 403, 413, 429, 500, 503],
        &[200, 400, 401, 403, 409, 413, 429, 500, 503],
        &[200, 400, 401, 404, 413, 429, 500, 502, 503, 504],
        &[202, 400, 413, 429, 500, 503],
    ];
    for (((method, path), name), statuses) in operations().zip(OPERATION_IDS).zip(statuses) {
        let operation = &document["paths"][path][method.as_str().to_lowercase()];
        assert_eq!(operation["operationId"], name);
        let documented: BTreeSet<u16> = operation["responses"]
            .as_object()
            .unwrap()
            .keys()
            .map(|s| s.parse().unwrap())
            .collect();
        assert_eq!(documented, statuses.iter().copied().collect(), "{name}");
        let callers = match path {
            PORTAL_PATH => json!([{"PartnerKey": []}]),
            LEAKS_PATH => json!([]),
            _ => session.clone(),
        };
        assert_eq!(operation["security"], callers, "{name}");
        let body = operation.get("requestBody");
        let is_start = name == "startPartnerApiKeyRotation";
        let is_report = path == LEAKS_PATH;
        assert_eq!(body.is_some(), is_start || is_report, "{name}");
        let is_required = body.is_some_and(|body| body["required"] == true);
        assert_eq!(is_required, is_report, "{name}");
        let parameters = operation["parameters"].as_array().map(Vec::as_slice);
        let parameters = parameters.unwrap_or_default().iter();
        let parameters: Vec<_> = parameters
            .map(|parameter| (&parameter["name"], &parameter["required"]))
            .collect();
        let expected = (&json!("Idempotency-Key"), &json!(false));
        let is_creation = is_start || name == "createPartnerApiKey";
        assert_eq!(
            parameters,
            vec![expected; usize::from(is_creation)],
            "{name}"
        );

        for (status, response) in operation["responses"].as_object().unwrap() {
            let at = format!("{name} {status}");
            assert_eq!(
                response["headers"]["X-Request-Id"]["required"], true,
                "{at}"
            );
            let needs = match status.as_str() {
                "401" => Some("WWW-Authenticate"),
                "503" => Some("Retry-After"),
                _ => None,
            };
            if let Some(header) = needs {
                assert_eq!(response["headers"][header]["required"], true, "{at}");
            }
            let schema = &response["content"]["application/json"]["schema"]["$ref"];
            let is_error = schema == "#/components/schemas/ErrorBody";
            assert_eq!(is_error, status.as_str() >= "400", "{at}: {schema}");
        }
    }
    assert_eq!(document["paths"].as_object().unwrap().len(), 5);
    assert_eq!(document["paths"][KEY_PATH].as_object().unwrap().len(), 3);
}

#[test]
fn shapes_differ_by_constants_and_every_reference_resolves() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let shapes = schemas["PartnerApiKey"]["anyOf"].as_array().unwrap();
    let constants = shapes.iter().map(|shape| {
        let name = shape["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
        let shape = &schemas[name];
        let required: BTreeSet<&str> = shape["required"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r.as_str().unwrap())
            .collect();
        (shape["properties"]["has_key"]["enum"].clone(), required)
    });
    let expected = [
        (
            json!([true]),
            BTreeSet::from(["has_key", "prefix", "has_webhook", "created_at"]),
        ),
        (json!([false]), BTreeSet::from(["has_key"])),
    ];
    assert_eq!(constants.collect::<Vec<_>>(), expected);
    let reasons = json!(["by_you", "operator", "leaked"]);
    assert_eq!(schemas["RevocationReason"]["enum"], reasons);
    assert_eq!(
        schemas["ActiveKey"]["properties"]["created_at"]["format"],
        "date-time"
    );
    assert_eq!(
        schemas["CreatedKey"]["required"],
        json!(["api_key", "prefix", "message"])
    );
    assert_eq!(
        schemas["RevokedKey"]["properties"]["success"]["enum"],
        json!([true])
    );
    assert_eq!(schemas["Portal"]["required"], json!(["url"]));
    let detail = json!(["code", "message", "request_id"]);
    assert_eq!(schemas["ErrorDetail"]["required"], detail);

    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(references.len() >= shapes.len());
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

fn collect_references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members
                .values()
                .for_each(|value| collect_references(value, found));
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| collect_references(item, found)),
        _ => {}
    }
}

#[test]
fn two_security_schemes_are_for_sessions_and_one_for_partner_keys() {
    let document = document();
    let schemes = document["components"]["securitySchemes"]
        .as_object()
        .unwrap();
    let kinds = schemes.iter().map(|(name, scheme)| {
        let text = |member: &str| scheme[member].as_str().unwrap_or_default().to_owned();
        (
            name.as_str(),
            [text("type"), text("scheme"), text("in"), text("name")],
        )
    });
    let expected = [
        ("PartnerKey", ["http", "bearer", "", ""]),
        ("SessionBearer", ["http", "bearer", "", ""]),
        ("SessionCookie", ["apiKey", "", "cookie", "session"]),
    ];
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        expected.map(|(name, kind)| (name, kind.map(str::to_owned)))
    );
}

#[tokio::test]
async fn the_examples_of_errors_are_the_messages_of_the_service() {
    let deployment = Deployment::start(Embedded).await;
    let (client, document) = (&deployment.client, document());
    let session = deployment.session().await;
    client.create(&session).await;
    let cookie = format!("session={session}");
    let by_cookie = |request: RequestBuilder| request.header("cookie", &cookie);
    let with_body = |request: RequestBuilder| request.body("x".repeat(20_000));
    let answers = [
        ("post", KEY_PATH, client.create("nobody's").await),
        ("post", KEY_PATH, client.create(&session).await),
        (
            "post",
            KEY_PATH,
            client.send(Method::POST, KEY_PATH, by_cookie).await,
        ),
        (
            "post",
            KEY_PATH,
            client.send(Method::POST, KEY_PATH, with_body).await,
        ),
        ("get", PORTAL_PATH, client.portal("nobody's").await),
    ];
    for (method, path, answer) in answers {
        let response = &document["paths"][path][method]["responses"][answer.status.as_str()];
        let example = &response["content"]["application/json"]["example"]["error"];
        for member in ["code", "message"] {
            assert_eq!(example[member], answer.body["error"][member], "{answer:?}");
        }
    }
}

/// The page contains everything that it needs, and its policy forbids the browser to
/// fetch anything else, even if the page's scripts try to.
#[rstest]
#[tokio::test]
async fn the_docs_page_loads_nothing_from_other_servers(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = Deployment::start(kind).await;
    let docs = get(&deployment, "/docs").await;
    assert_eq!(
        docs.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    // The document that the page shows and offers for download is the served one.
    let (_, shown) = docs.text.split_once("application/json").unwrap();
    let shown = shown.split_once('>').unwrap().1;
    let shown = shown.split_once("</script>").unwrap().0;
    let shown: Value = serde_json::from_str(shown).unwrap();
    assert_eq!(shown, document());
    assert!(docs.text.contains("<title>Partner API keys</title>"));

    let policy = docs.header("content-security-policy").unwrap();
    let directives: Vec<&str> = policy.split(';').map(str::trim).collect();
    assert!(
        directives
            .iter()
            .any(|directive| directive.starts_with("default-src "))
    );
    for source in directives
        .iter()
        .flat_map(|directive| directive.split(' ').skip(1))
    {
        let own = ["'self'", "'none'", "'unsafe-inline'", "data:", "blob:"];
        assert!(own.contains(&source), "{source} in {policy}");
    }
    let markup = docs.text.split("<script charset").next().unwrap();
    assert!(!markup.contains("src=") && !markup.contains("<link"));
}
