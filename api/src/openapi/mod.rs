//! The OpenAPI documents. They are generated from the operations, served, and committed
//! as `openapi.yaml` and, for the internal listener, `openapi-internal.yaml`.

use bytes::Bytes;
use poem::http::{Method, header};
use poem::middleware::SetHeader;
use poem::{Endpoint, EndpointExt, Response};
use poem_openapi::{ExtraHeader, LicenseObject, OpenApi, OpenApiService, ServerObject};
use serde_json::Value;

mod errors;
mod operations;
mod tidy;

use crate::http::{Routes, lazy_text, static_text};
use crate::internal::{ForwardAuth, Introspect, IntrospectMany};
use crate::routes::{
    CancelRotation, CreateKey, FinishRotation, OpenPortal, ReportLeakedKeys, RevokeKey, ShowKey,
    StartRotation,
};
use operations::Described;

const TITLE: &str = "Partner API keys";

const DESCRIPTION: &str = "\
Each partner account has one API key, and webhooks through Svix.

The dashboard creates, shows, replaces and revokes the key of the signed-in account. The partner's \
backend exchanges the key for a link to the Svix App Portal, where webhook endpoints are \
managed. Every error has the same shape, `ErrorBody`. Its `request_id` is also in the \
`X-Request-Id` header of every response.";

const INTERNAL_TITLE: &str = "Partner API keys: key checks";

const INTERNAL_DESCRIPTION: &str = "\
For the platform's own services and proxies, at `INTERNAL_ADDR`: is a partner's key valid, and \
whose is it?

Every check looks the key up, so a revocation is immediate. Every error has the same shape, \
`ErrorBody`.";

/// The content security policy of `/docs`: the page loads nothing from other
/// servers. Scalar, which the page contains, would otherwise fetch fonts, and can
/// send requests made on the page, with their keys, through its makers' proxy.
const DOCS_POLICY: &str = "default-src 'self' 'unsafe-inline' data: blob:; \
                           base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Operations and their document.
pub struct Service {
    /// The operations and their document, as routes.
    pub routes: Routes,
    /// The document.
    pub document: Value,
    json: Bytes,
}

/// Creates the public operations and their document. The document names
/// `session_cookie` as the session cookie.
pub fn service(session_cookie: &str) -> Service {
    let operations = (
        CreateKey,
        ShowKey,
        RevokeKey,
        StartRotation,
        FinishRotation,
        CancelRotation,
        OpenPortal,
        ReportLeakedKeys,
    );
    let mut document = document_of(&operations, TITLE, DESCRIPTION);
    let cookie = &mut document["components"]["securitySchemes"]["SessionCookie"];
    cookie["name"] = session_cookie.into();
    Service::new(operations, document)
}

/// Creates the operations of the internal listener and their document. Two of them are only
/// described: their endpoints are made by hand, for speed and for any method and path.
pub fn internal_service() -> Service {
    let described = (Introspect, IntrospectMany, ForwardAuth);
    let document = document_of(&described, INTERNAL_TITLE, INTERNAL_DESCRIPTION);
    Service::new(IntrospectMany, document)
}

/// Returns the document of operations, without examples of errors.
fn document_of<A: OpenApi>(_operations: &A, title: &str, description: &str) -> Value {
    let request_id = ExtraHeader::new("X-Request-Id");
    let service = OpenApiService::new(Described::<A>::new(), title, env!("CARGO_PKG_VERSION"))
        .description(description)
        .license(LicenseObject::new(env!("CARGO_PKG_LICENSE")).url(concat!(
            "https://spdx.org/licenses/",
            env!("CARGO_PKG_LICENSE")
        )))
        .server(ServerObject::new("/").description("The server that serves this document"))
        .extra_response_header::<String, _>(
            request_id.description("Identifies this request. Quote it when you contact support."),
        );
    serde_json::from_str(&service.spec())
        .unwrap_or_else(|error| unreachable!("poem-openapi writes valid JSON: {error}"))
}

/// Returns poem-openapi's page with our document, our title, and without Scalar's
/// fonts, which [`DOCS_POLICY`] would block.
fn docs_page(json: &str) -> String {
    // The document stands in a script element, which no text in it must end.
    let json = json.replace('<', "\\u003c");
    let title = format!("<title>{TITLE}</title>");
    let without_fonts = r#"id="api-reference" data-configuration='{"withDefaultFonts":false}'"#;
    let empty = OpenApiService::new((), TITLE, "");
    empty
        .scalar_html()
        .replacen(&empty.spec(), &json, 1)
        .replacen("<title>Scalar</title>", &title, 1)
        .replacen(r#"id="api-reference""#, without_fonts, 1)
}

/// Returns the public document as it is committed: in YAML, with the default cookie name.
pub fn committed() -> String {
    yaml(&service("session").document)
}

/// Returns the document of the internal listener as it is committed.
pub fn committed_internal() -> String {
    yaml(&internal_service().document)
}

fn pretty_json(document: &Value) -> String {
    serde_json::to_string_pretty(document)
        .unwrap_or_else(|error| unreachable!("a JSON value is valid JSON: {error}"))
}

fn yaml(document: &Value) -> String {
    serde_saphyr::to_string(document)
        .unwrap_or_else(|error| unreachable!("a JSON value is valid YAML: {error}"))
}

impl Service {
    fn new(operations: impl OpenApi, mut document: Value) -> Self {
        tidy::tidy(&mut document);
        errors::add_examples(&mut document);
        let json = Bytes::from(pretty_json(&document));
        let as_json = static_text(json.clone(), "application/json; charset=utf-8");
        let as_yaml = static_text(yaml(&document), "application/yaml; charset=utf-8");
        Self {
            routes: Routes::of(operations)
                .and_at("/openapi.json", Method::GET, as_json)
                .and_at("/openapi.yaml", Method::GET, as_yaml),
            document,
            json,
        }
    }

    /// Returns the endpoint `/docs`: the document as a page. The page has 3 MB, so it is
    /// made when it is first asked for.
    pub fn docs(&self) -> impl Endpoint<Output = Response> + 'static + use<> {
        let json = self.json.clone();
        let page = move || docs_page(&String::from_utf8_lossy(&json)).into();
        lazy_text(page, "text/html; charset=utf-8")
            .with(SetHeader::new().overriding(header::CONTENT_SECURITY_POLICY, DOCS_POLICY))
    }
}
