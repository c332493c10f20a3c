use std::marker::PhantomData;

use poem_openapi::ApiResponse;
use poem_openapi::payload::{Json, Payload};
use poem_openapi::registry::{
    MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchemaRef, Registry,
};
use poem_openapi::types::Type;

use super::{ApiError, ErrorBody, ErrorCode, messages};

/// One of the errors that an operation may answer with.
#[derive(Debug, Clone, Copy)]
pub struct DocumentedError {
    /// Its code.
    pub code: ErrorCode,
    /// What it means for this operation: its description in the document.
    pub means: &'static str,
    /// What people are told, or one of such messages: its example there.
    pub says: &'static str,
}

impl DocumentedError {
    /// One with this code, meaning and message.
    pub const fn new(code: ErrorCode, means: &'static str, says: &'static str) -> Self {
        Self { code, means, says }
    }

    /// 401 where a session is needed.
    pub const NO_SESSION: Self = Self::new(
        ErrorCode::Unauthorized,
        "No valid session.",
        messages::NO_SESSION,
    );
    /// 403 where the cookie counts only in requests of our own site.
    pub const CROSS_SITE: Self = Self::new(
        ErrorCode::Forbidden,
        "A request with the session cookie that does not come from this origin, or an allowed one.",
        messages::CROSS_SITE,
    );
    /// 503 where a session is needed.
    pub const UNAVAILABLE: Self = Self::new(
        ErrorCode::Unavailable,
        "The database is unavailable, or the identity provider before it gave its keys.",
        messages::UNAVAILABLE,
    );
}

/// The errors that any operation may answer with, whatever it does.
pub const COMMON_ERRORS: [DocumentedError; 3] = [
    DocumentedError::new(
        ErrorCode::BadRequest,
        "The request body is cut off or wrongly framed; none is needed.",
        messages::BROKEN_BODY,
    ),
    DocumentedError::new(
        ErrorCode::PayloadTooLarge,
        "The request body is too large; none is needed.",
        messages::LARGE_BODY,
    ),
    DocumentedError::new(
        ErrorCode::Internal,
        "A defect on our side.",
        messages::INTERNAL,
    ),
];

/// The errors that an operation may answer with besides those of any: what its
/// document names.
pub trait DocumentedErrors {
    /// Each of them.
    const ALL: &'static [DocumentedError];
}

/// An error of an operation: at run time an [`ApiError`], in the OpenAPI
/// document one response for each of the operation's [`DocumentedErrors`].
pub struct OperationError<F>(ApiError, PhantomData<fn() -> F>);

impl<F, E: Into<ApiError>> From<E> for OperationError<F> {
    fn from(error: E) -> Self {
        Self(error.into(), PhantomData)
    }
}

impl<F> From<OperationError<F>> for poem::Error {
    fn from(failed: OperationError<F>) -> Self {
        failed.0.into()
    }
}

impl<F: DocumentedErrors> ApiResponse for OperationError<F> {
    fn meta() -> MetaResponses {
        let mut failures: Vec<_> = F::ALL.iter().chain(&COMMON_ERRORS).collect();
        failures.sort_by_key(|failure| failure.code.status());
        let responses = failures
            .into_iter()
            .map(|failure| MetaResponse {
                description: failure.means,
                status: Some(failure.code.status().as_u16()),
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: Json::<ErrorBody>::CONTENT_TYPE,
                    schema: ErrorBody::schema_ref(),
                }],
                headers: headers(failure.code),
            })
            .collect();
        MetaResponses { responses }
    }

    fn register(registry: &mut Registry) {
        ErrorBody::register(registry);
    }
}

/// The headers that an error's response carries.
fn headers(code: ErrorCode) -> Vec<MetaHeader> {
    let header = |name: &str, description: &str, required, schema: MetaSchemaRef| MetaHeader {
        name: name.into(),
        description: Some(description.into()),
        required,
        deprecated: false,
        schema,
    };
    match code {
        ErrorCode::Unauthorized => vec![header(
            "WWW-Authenticate",
            "The scheme to authenticate with: Bearer.",
            true,
            String::schema_ref(),
        )],
        ErrorCode::Unavailable | ErrorCode::RateLimited => vec![header(
            "Retry-After",
            "Seconds to wait before trying again.",
            true,
            u64::schema_ref(),
        )],
        ErrorCode::NotFound => vec![header(
            "Retry-After",
            "Seconds after which it may be there; missing if waiting will not help.",
            false,
            u64::schema_ref(),
        )],
        _ => Vec::new(),
    }
}
