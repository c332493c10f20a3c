use std::marker::PhantomData;

use poem_openapi::ApiResponse;
use poem_openapi::payload::{Json, Payload};
use poem_openapi::registry::{
    MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchemaRef, Registry,
};
use poem_openapi::types::Type;

use super::{ApiError, ErrorBody, ErrorCode};

/// The errors that any operation may answer with, whatever it does.
const OF_ANY: [(ErrorCode, &str); 3] = [
    (
        ErrorCode::BadRequest,
        "The request body is malformed or ended early; none is needed.",
    ),
    (
        ErrorCode::PayloadTooLarge,
        "The request body is too large; none is needed.",
    ),
    (ErrorCode::Internal, "A defect on our side."),
];

/// The errors that an operation may answer with besides those of any: what its
/// document names.
pub trait Failures {
    /// Each code, and what it means for this operation.
    const CODES: &'static [(ErrorCode, &'static str)];
}

/// An error of an operation: at run time an [`ApiError`], in the OpenAPI
/// document one response for each of the operation's [`Failures`].
pub struct Failed<F>(ApiError, PhantomData<fn() -> F>);

impl<F, E: Into<ApiError>> From<E> for Failed<F> {
    fn from(error: E) -> Self {
        Self(error.into(), PhantomData)
    }
}

impl<F> From<Failed<F>> for poem::Error {
    fn from(failed: Failed<F>) -> Self {
        failed.0.into()
    }
}

impl<F: Failures> ApiResponse for Failed<F> {
    fn meta() -> MetaResponses {
        let mut codes: Vec<_> = F::CODES.iter().chain(&OF_ANY).collect();
        codes.sort_by_key(|(code, _)| code.status());
        let responses = codes
            .into_iter()
            .map(|(code, description)| MetaResponse {
                description,
                status: Some(code.status().as_u16()),
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: Json::<ErrorBody>::CONTENT_TYPE,
                    schema: ErrorBody::schema_ref(),
                }],
                headers: headers(*code),
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
