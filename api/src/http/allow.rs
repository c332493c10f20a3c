//! The `Allow` header, which RFC 9110 requires of a 405. poem does not add it.

use std::collections::HashMap;

use poem::http::header::{self, HeaderValue};
use poem::http::{Method, StatusCode};
use poem::{PathPattern, Response};
use serde_json::Value;

use crate::leaks::github;

/// The methods of the paths that are not in the OpenAPI document: pages and
/// probes.
const READ_ONLY: HeaderValue = HeaderValue::from_static("GET, HEAD");

/// The `Allow` header of each path of the OpenAPI document.
pub struct AllowedMethods(HashMap<String, HeaderValue>);

impl AllowedMethods {
    /// Reads the methods from the OpenAPI document.
    pub fn from_document(document: &Value) -> Self {
        let paths = document["paths"].as_object().into_iter().flatten();
        let headers = paths.filter_map(|(path, operations)| {
            let methods = operations.as_object()?.keys();
            let mut methods: Vec<String> = methods.map(|method| method.to_uppercase()).collect();
            if methods.iter().any(|method| method == Method::GET.as_str()) {
                methods.push(Method::HEAD.to_string());
            }
            let header = HeaderValue::try_from(methods.join(", ")).ok()?;
            Some((path.clone(), header))
        });
        // GitHub's own format is not in the document.
        let reports = (github::PATH.to_owned(), HeaderValue::from_static("POST"));
        Self(headers.chain([reports]).collect())
    }
}

/// Adds the `Allow` header to a 405.
pub fn add_header(allowed: &AllowedMethods, response: &mut Response) {
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        let path = response.data::<PathPattern>();
        let methods = path.and_then(|path| allowed.0.get(&*path.0));
        let methods = methods.cloned().unwrap_or(READ_ONLY);
        response.headers_mut().insert(header::ALLOW, methods);
    }
}
