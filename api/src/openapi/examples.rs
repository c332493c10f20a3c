use poem_openapi::types::ToJSON;
use serde_json::{Value, json};

use crate::error::{COMMON_ERRORS, DocumentedError, ErrorBody, ErrorDetail};
use crate::routes::ERRORS_BY_OPERATION;

/// Gives each error in the document an example: what the service says.
pub fn add_to(document: &mut Value) {
    let paths = document["paths"].as_object_mut().into_iter();
    let operations = paths
        .flat_map(|paths| paths.values_mut())
        .filter_map(Value::as_object_mut)
        .flat_map(|path| path.values_mut());
    for operation in operations {
        let of_this = ERRORS_BY_OPERATION
            .iter()
            .find(|(id, _)| operation["operationId"] == *id);
        let of_this = of_this.map_or(&[][..], |(_, failures)| failures);
        for failure in of_this.iter().chain(&COMMON_ERRORS) {
            let response = &mut operation["responses"][failure.code.status().as_str()];
            response["content"]["application/json"]["example"] = example(failure);
        }
    }
}

fn example(failure: &DocumentedError) -> Value {
    let error = ErrorDetail {
        code: failure.code,
        message: failure.says.to_owned(),
        request_id: "7d2df0e1-1342-4fbd-a9cd-34843d444cac".to_owned(),
    };
    ErrorBody { error }.to_json().unwrap_or_else(|| json!(null))
}
