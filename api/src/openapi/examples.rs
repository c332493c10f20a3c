use poem_openapi::types::ToJSON;
use serde_json::{Value, json};

use crate::error::{ErrorBody, ErrorDetail, Failure, OF_ANY};
use crate::routes::FAILURES;

/// Gives each error in the document an example: what the service says.
pub fn add_to(document: &mut Value) {
    let paths = document["paths"].as_object_mut().into_iter();
    let operations = paths
        .flat_map(|paths| paths.values_mut())
        .filter_map(Value::as_object_mut)
        .flat_map(|path| path.values_mut());
    for operation in operations {
        let of_this = FAILURES
            .iter()
            .find(|(id, _)| operation["operationId"] == *id);
        let of_this = of_this.map_or(&[][..], |(_, failures)| failures);
        for failure in of_this.iter().chain(&OF_ANY) {
            let response = &mut operation["responses"][failure.code.status().as_str()];
            response["content"]["application/json"]["example"] = example(failure);
        }
    }
}

fn example(failure: &Failure) -> Value {
    let error = ErrorDetail {
        code: failure.code,
        message: failure.says.to_owned(),
        request_id: "7d2df0e1-1342-4fbd-a9cd-34843d444cac".to_owned(),
    };
    ErrorBody { error }.to_json().unwrap_or_else(|| json!(null))
}
