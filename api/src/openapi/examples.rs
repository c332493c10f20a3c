use poem_openapi::types::{ParseFromJSON, ToJSON};
use serde_json::{Value, json};

use crate::error::{ErrorBody, ErrorCode, ErrorDetail};

/// Gives each error in the document an example: its code, what the operation says
/// of it, and the id of some request.
pub fn add_to(document: &mut Value) {
    let codes = document["components"]["schemas"]["ErrorCode"]["enum"].clone();
    let codes: Vec<ErrorCode> = ParseFromJSON::parse_from_json(Some(codes))
        .unwrap_or_else(|_| unreachable!("the document names the codes of this enumeration"));
    let operations = document["paths"]
        .as_object_mut()
        .into_iter()
        .flat_map(|paths| paths.values_mut())
        .filter_map(Value::as_object_mut)
        .flat_map(|path| path.values_mut());
    for operation in operations {
        for code in &codes {
            let response = operation["responses"].get_mut(code.status().as_str());
            if let Some(response) = response
                && let Some(message) = response["description"].as_str()
            {
                let example = example(*code, message.to_owned());
                response["content"]["application/json"]["example"] = example;
            }
        }
    }
}

fn example(code: ErrorCode, message: String) -> Value {
    let error = ErrorDetail {
        code,
        message,
        request_id: "7d2df0e1-1342-4fbd-a9cd-34843d444cac".to_owned(),
    };
    ErrorBody { error }.to_json().unwrap_or_else(|| json!(null))
}
