//! The OpenAPI document: made from the operations, served, and committed.

use poem::http::header;
use poem::web::Html;
use poem::{Endpoint, IntoEndpoint};
use poem::{IntoResponse, Response, endpoint::make_sync};
use poem_openapi::{ExtraHeader, LicenseObject, OpenApiService, ServerObject};
use serde_json::Value;

mod examples;
mod operations;
mod tidy;

use operations::Operations;

const TITLE: &str = "Partner API keys";

const DESCRIPTION: &str = "\
One API key for each partner account, and webhooks through Svix.

The dashboard creates, shows and revokes the key of the signed-in account. The partner's \
backend exchanges the key for a link to the Svix App Portal, where webhook endpoints are \
managed. Every error has the same shape, `ErrorBody`; its `request_id` is also in the \
`X-Request-Id` header of every response.";

/// What the page of the document may load: nothing from anywhere else. Scalar,
/// which is in the page, would fetch fonts, and can send what is tried out on the
/// page, keys included, through a proxy of its makers.
const DOCS_POLICY: &str = "default-src 'self' 'unsafe-inline' data: blob:; \
                           base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The operations and their document.
pub struct Service<E> {
    /// The operations, routed.
    pub operations: E,
    /// The document.
    pub document: Value,
    json: String,
    yaml: String,
    docs: String,
}

fn describe() -> OpenApiService<Operations, ()> {
    let request_id = ExtraHeader::new("X-Request-Id");
    OpenApiService::new(Operations, TITLE, env!("CARGO_PKG_VERSION"))
        .description(DESCRIPTION)
        .license(LicenseObject::new(env!("CARGO_PKG_LICENSE")).url(concat!(
            "https://spdx.org/licenses/",
            env!("CARGO_PKG_LICENSE")
        )))
        .server(ServerObject::new("/").description("The server that serves this document"))
        .extra_response_header::<String, _>(
            request_id.description("Names this request. Worth quoting to support."),
        )
}

/// The operations and their document, for the given session cookie.
pub fn service(
    session_cookie: &str,
) -> Service<impl IntoEndpoint<Endpoint: Endpoint + 'static> + use<>> {
    let service = describe();
    let raw = service.spec();
    let mut document: Value = serde_json::from_str(&raw)
        .unwrap_or_else(|error| unreachable!("poem-openapi writes valid JSON: {error}"));
    document["components"]["securitySchemes"]["SessionCookie"]["name"] = session_cookie.into();
    tidy::tidy(&mut document);
    examples::add_to(&mut document);
    let json = pretty_json(&document);
    let docs = page(&service.scalar_html(), &raw, &json);
    Service {
        operations: service,
        json,
        yaml: yaml(&document),
        docs,
        document,
    }
}

/// The page of poem-openapi, with our document in place of its own, our title, and
/// no fonts of its makers', which [`DOCS_POLICY`] would refuse.
fn page(html: &str, raw: &str, json: &str) -> String {
    // Within a script element, so that no text in it may end that.
    let json = json.replace('<', "\\u003c");
    let title = format!("<title>{TITLE}</title>");
    let own_fonts = r#"id="api-reference" data-configuration='{"withDefaultFonts":false}'"#;
    html.replacen(raw, &json, 1)
        .replacen("<title>Scalar</title>", &title, 1)
        .replacen(r#"id="api-reference""#, own_fonts, 1)
}

/// The document as it is committed: with the default cookie name, in YAML.
pub fn committed() -> String {
    service("session").yaml
}

fn pretty_json(document: &Value) -> String {
    serde_json::to_string_pretty(document)
        .unwrap_or_else(|error| unreachable!("a JSON value is valid JSON: {error}"))
}

fn yaml(document: &Value) -> String {
    serde_yaml::to_string(document)
        .unwrap_or_else(|error| unreachable!("a JSON value is valid YAML: {error}"))
}

impl<E> Service<E> {
    /// `/openapi.json`
    pub fn json(&self) -> impl Endpoint + 'static + use<E> {
        document(self.json.clone(), "application/json; charset=utf-8")
    }

    /// `/openapi.yaml`
    pub fn yaml(&self) -> impl Endpoint + 'static + use<E> {
        document(self.yaml.clone(), "application/yaml; charset=utf-8")
    }

    /// `/docs`: the document as a page.
    pub fn docs(&self) -> impl Endpoint + 'static + use<E> {
        let docs = self.docs.clone();
        make_sync(move |_| {
            Html(docs.clone())
                .with_header(header::CONTENT_SECURITY_POLICY, DOCS_POLICY)
                .into_response()
        })
    }
}

fn document(text: String, content_type: &'static str) -> impl Endpoint + 'static {
    make_sync(move |_| {
        Response::builder()
            .content_type(content_type)
            .body(text.clone())
    })
}
