//! Responses in the format of Svix, and damaged responses.

use std::io;

use futures_util::stream::{self, StreamExt};
use poem::http::{StatusCode, header};
use poem::{Body, Response};
use serde::Serialize;
use serde_json::json;

/// A complete response that is not sent yet.
pub(super) struct SvixResponse {
    status: StatusCode,
    content_type: &'static str,
    body: Vec<u8>,
}

impl SvixResponse {
    /// Creates a response with a JSON body.
    pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Self {
        Self {
            status,
            content_type: "application/json",
            body: serde_json::to_vec(body).unwrap_or_default(),
        }
    }

    /// Creates a response without a body: 204, or 404 for a path that does not exist.
    pub(super) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            content_type: "text/plain",
            body: Vec::new(),
        }
    }

    /// Creates an error response with the body that Svix sends with this status.
    pub(super) fn error(status: StatusCode) -> Self {
        let (code, detail) = match status.as_u16() {
            401 => (
                "authentication_failed",
                "Incorrect authentication credentials.",
            ),
            403 => (
                "insufficient_access",
                "Insufficient access for the given operation.",
            ),
            404 => ("not_found", "Entity not found"),
            409 => ("conflict", "A conflict has occurred"),
            422 => {
                return Self::invalid(&["body"], "a fault of the simulator refuses this request");
            }
            429 => ("rate_limited", "Too many requests"),
            500.. => ("server_error", "Internal Server Error"),
            _ => ("generic_error", "Generic error"),
        };
        Self::json(status, &json!({ "code": code, "detail": detail }))
    }

    /// Creates a 422 that names the invalid field, for example `["body", "uid"]`,
    /// and the reason.
    pub(super) fn invalid(location: &[&str], message: &str) -> Self {
        let item = json!({ "loc": location, "msg": message, "type": "value_error" });
        Self::json(
            StatusCode::UNPROCESSABLE_ENTITY,
            &json!({ "detail": [item] }),
        )
    }

    /// Creates a 200 with an HTML page, as a proxy or a captive portal might send.
    pub(super) fn html_page() -> Self {
        Self {
            status: StatusCode::OK,
            content_type: "text/html; charset=utf-8",
            body: b"<!doctype html><title>Hello</title><p>This is not Svix.".to_vec(),
        }
    }

    /// Creates a 200 with `length` bytes (at least 14) of valid JSON that has
    /// none of the expected members.
    pub(super) fn huge(length: usize) -> Self {
        let (open, close) = (&b"{\"padding\":\""[..], &b"\"}"[..]);
        let mut body = open.to_vec();
        body.resize(length.max(open.len() + close.len()) - close.len(), b'x');
        body.extend_from_slice(close);
        Self {
            status: StatusCode::OK,
            content_type: "application/json",
            body,
        }
    }

    /// Sends the headers and half of the promised body, then closes the connection.
    pub(super) fn truncated(mut self) -> Response {
        if self.status == StatusCode::NO_CONTENT {
            self.status = StatusCode::OK; // a 204 cannot promise a body
        }
        let promised = self.body.len().max(2);
        self.body.truncate(promised / 2);
        self.body.resize(promised / 2, b' ');
        let half = stream::iter([Ok(self.body)]);
        let failure = stream::once(async {
            // hyper sends its buffer when the body is pending, and drops the
            // buffer when the body fails. So be pending once before failing.
            tokio::task::yield_now().await;
            Err(io::Error::from(io::ErrorKind::ConnectionAborted))
        });
        Response::builder()
            .status(self.status)
            .header(header::CONTENT_TYPE, self.content_type)
            .header(header::CONTENT_LENGTH, promised)
            .body(Body::from_bytes_stream(half.chain(failure)))
    }
}

impl From<SvixResponse> for Response {
    fn from(response: SvixResponse) -> Self {
        let builder = Response::builder().status(response.status);
        if response.body.is_empty() {
            return builder.finish();
        }
        builder
            .header(header::CONTENT_TYPE, response.content_type)
            .body(response.body)
    }
}
