use std::time::Duration;

use poem::Request;
use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};
use shared::key::PartnerKey;
use shared::store::Actor;
use tokio::time::Instant;

use super::Tag;
use super::create_key::EXAMPLE_KEY;
use super::types::{ConstBool, JsonBody, RequiredJson};
use crate::App;
use crate::auth;
use crate::error::{ApiError, DocumentedError, ErrorCode, messages};
use crate::http::ClientAddress;
use crate::leaks::{self, Leak};

/// The path of the operation.
pub const PATH: &str = "/api/v1/partners/leaked-keys";

/// The time between two moments at which a report may be answered. A revocation takes a few
/// milliseconds more than finding nothing; both are answered at the first such moment, so that
/// the time does not tell which of them it was.
const STEP: Duration = Duration::from_millis(50);

/// The operation `POST /api/v1/partners/leaked-keys`.
pub struct ReportLeakedKeys;

/// Keys that were found where others can read them.
#[derive(Object)]
#[oai(example)]
struct LeakReport {
    /// The whole keys, 1 to 100. What is no key of this service is ignored.
    #[oai(validator(min_items = 1, max_items = 100))]
    keys: Vec<String>,
    /// The address of the place where they were found. The operators see it.
    url: Option<String>,
}

impl JsonBody for LeakReport {
    const INVALID: &'static str = messages::INVALID_REPORT;
}

impl Example for LeakReport {
    fn example() -> Self {
        Self {
            keys: vec![EXAMPLE_KEY.to_owned()],
            url: Some("https://example.com/a-public-file".to_owned()),
        }
    }
}

/// The report was processed.
#[derive(Object)]
#[oai(example)]
struct ProcessedReport {
    /// Always true.
    success: ConstBool<true>,
}

impl Example for ProcessedReport {
    fn example() -> Self {
        Self { success: ConstBool }
    }
}

#[derive(ApiResponse)]
enum Response {
    /// Those of the keys that worked are revoked. Whether there was one is not told.
    #[oai(status = 202)]
    Processed(Json<ProcessedReport>),
}

/// The errors of this operation.
pub const ERRORS: &[DocumentedError] = &[
    DocumentedError::new(
        ErrorCode::BadRequest,
        "The request body is malformed, ended early, came too late, or is not a report of 1 to \
         100 keys.",
        messages::INVALID_REPORT,
    ),
    DocumentedError::new(
        ErrorCode::PayloadTooLarge,
        "The request body is larger than 16 KiB.",
        messages::LARGE_KEPT_BODY,
    ),
    DocumentedError::new(
        ErrorCode::Unavailable,
        "The database is unavailable. Some of the keys may still work: send the report again.",
        messages::UNAVAILABLE,
    ),
];

#[OpenApi]
impl ReportLeakedKeys {
    /// Report leaked API keys
    ///
    /// For anybody who finds keys in a public place, such as a repository, a log or a web page.
    /// No authentication is needed: whoever knows a key could also misuse it. Keys that work
    /// are revoked at once and forever, their portal sessions are ended, and their accounts
    /// see why. The response is the same whether or not a key exists.
    #[oai(
        path = "/api/v1/partners/leaked-keys",
        method = "post",
        operation_id = "reportLeakedPartnerApiKeys",
        tag = "Tag::LeakedKeys"
    )]
    async fn report(
        &self,
        request: &Request,
        Data(app): Data<&App>,
        report: RequiredJson<LeakReport>,
    ) -> Result<Response, ApiError> {
        let began = Instant::now();
        app.limits.report(ClientAddress::of(request).as_caller())?;
        let RequiredJson(LeakReport { keys, url }) = report;
        let found_at = leaks::found_at(url.as_deref());
        let origin =
            auth::origin(request, Actor::Report, None).because(format!("found {found_at}"));
        let keys = keys
            .iter()
            .filter_map(|key| PartnerKey::parse(key.trim()).ok());
        let leaks: Vec<Leak> = keys
            .map(|key| Leak {
                key,
                origin: origin.clone(),
            })
            .collect();
        let revoked = leaks::revoke(app, &leaks).await;
        tokio::time::sleep_until(next_step(began)).await;
        revoked?;
        Ok(Response::Processed(Json(ProcessedReport {
            success: ConstBool,
        })))
    }
}

/// Returns the next moment at which a report may be answered that came at `began`.
fn next_step(began: Instant) -> Instant {
    let mut next = began + STEP;
    while next < Instant::now() {
        next += STEP;
    }
    next
}
