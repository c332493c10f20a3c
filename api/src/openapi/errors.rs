//! The errors in the OpenAPI document: a response for each error that an
//! operation may return, with an example.

use poem_openapi::ApiResponse;
use poem_openapi::payload::{Json, Payload};
use poem_openapi::registry::{
    MetaHeader, MetaMediaType, MetaOperation, MetaResponse, MetaResponses, MetaSchemaRef, Registry,
};
use poem_openapi::types::{ToJSON, Type};
use serde_json::Value;

use crate::error::{ApiError, COMMON_ERRORS, DocumentedError, ErrorBody, ErrorCode, ErrorDetail};
use crate::{internal, routes};

/// Lets handlers return [`ApiError`]. Which errors an operation returns depends
/// on the operation, so [`add_responses`] adds them and not this type.
impl ApiResponse for ApiError {
    fn meta() -> MetaResponses {
        let responses = Vec::new();
        MetaResponses { responses }
    }

    fn register(registry: &mut Registry) {
        ErrorBody::register(registry);
    }
}

/// Adds a response for each error of the operation, ordered by status.
pub fn add_responses(operation: &mut MetaOperation) {
    let mut errors = errors_of(operation.operation_id.unwrap_or_default());
    errors.sort_by_key(|error| error.code.status());
    let responses = errors.into_iter().map(|error| MetaResponse {
        description: error.description,
        status: Some(error.code.status().as_u16()),
        status_range: None,
        content: vec![MetaMediaType {
            content_type: Json::<ErrorBody>::CONTENT_TYPE,
            schema: ErrorBody::schema_ref(),
        }],
        headers: headers(error.code),
    });
    operation.responses.responses.extend(responses);
}

/// Adds an example to each error in the document. poem-openapi has no examples
/// for responses.
pub fn add_examples(document: &mut Value) {
    let paths = document["paths"].as_object_mut().into_iter();
    let operations = paths
        .flat_map(|paths| paths.values_mut())
        .filter_map(Value::as_object_mut)
        .flat_map(|path| path.values_mut());
    for operation in operations {
        for error in errors_of(operation["operationId"].as_str().unwrap_or_default()) {
            let response = &mut operation["responses"][error.code.status().as_str()];
            response["content"]["application/json"]["example"] = example(error);
        }
    }
}

/// Returns the errors that the operation may return.
fn errors_of(operation_id: &str) -> Vec<&'static DocumentedError> {
    let find = |table: &'static [(&str, &'static [DocumentedError])]| {
        let own = table.iter().find(|(id, _)| *id == operation_id);
        own.map(|(_, errors)| errors.iter())
    };
    if let Some(own) = find(&internal::ERRORS_BY_OPERATION) {
        return own.chain(&internal::COMMON_ERRORS).collect();
    }
    let own = find(&routes::ERRORS_BY_OPERATION).unwrap_or_default();
    let limited = std::iter::once(&DocumentedError::RATE_LIMITED);
    // An operation may say more about an error that all have.
    let common = COMMON_ERRORS.iter().chain(limited);
    let common = common.filter(|common| own.clone().all(|own| own.code != common.code));
    own.clone().chain(common).collect()
}

/// Returns an error's body as the service sends it.
fn example(error: &DocumentedError) -> Value {
    let error = ErrorDetail {
        code: error.code,
        message: error.example_message.to_owned(),
        request_id: "7d2df0e1-1342-4fbd-a9cd-34843d444cac".to_owned(),
        created: None,
    };
    ErrorBody { error }.to_json().unwrap_or_default()
}

/// Returns the headers of an error's response.
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
            "The authentication scheme: Bearer.",
            true,
            String::schema_ref(),
        )],
        ErrorCode::Unavailable | ErrorCode::RateLimited => vec![header(
            "Retry-After",
            "The number of seconds to wait before trying again.",
            true,
            u64::schema_ref(),
        )],
        ErrorCode::NotFound => vec![header(
            "Retry-After",
            "The number of seconds to wait before trying again. Missing if waiting does not help.",
            false,
            u64::schema_ref(),
        )],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_has_its_own_errors_in_the_table() {
        let document = crate::openapi::service("session").document;
        let paths = document["paths"].as_object().unwrap();
        let operations = paths
            .values()
            .flat_map(|path| path.as_object().unwrap().values());
        let mut ids: Vec<_> = operations
            .map(|operation| &operation["operationId"])
            .collect();
        let mut expected = routes::ERRORS_BY_OPERATION.map(|(id, _)| id);
        ids.sort_by_key(|id| id.as_str());
        expected.sort_unstable();
        assert_eq!(ids, expected);
    }
}
