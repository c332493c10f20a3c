//! Answers as Svix words them, and ways to spoil one.

use std::io;

use futures_util::stream::{self, StreamExt};
use poem::http::{StatusCode, header};
use poem::{Body, Response};
use serde::Serialize;
use serde_json::json;

/// A whole answer, before it is sent or spoilt.
pub(super) struct Answer {
    status: StatusCode,
    content_type: &'static str,
    body: Vec<u8>,
}

impl Answer {
    pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Self {
        Self {
            status,
            content_type: "application/json",
            body: serde_json::to_vec(body).unwrap_or_default(),
        }
    }

    /// An answer without a body: 204, or the bare 404 of a route that does not exist.
    pub(super) fn bare(status: StatusCode) -> Self {
        Self {
            status,
            content_type: "text/plain",
            body: Vec::new(),
        }
    }

    /// An error with the body that Svix gives to this status.
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
            422 => return Self::invalid(&["body"], "the simulator was told to refuse this"),
            429 => ("rate_limited", "Too many requests"),
            500.. => ("server_error", "Internal Server Error"),
            _ => ("generic_error", "Generic error"),
        };
        Self::json(status, &json!({ "code": code, "detail": detail }))
    }

    /// 422, naming what is wrong, and where: `["body", "uid"]`.
    pub(super) fn invalid(location: &[&str], message: &str) -> Self {
        let item = json!({ "loc": location, "msg": message, "type": "value_error" });
        Self::json(
            StatusCode::UNPROCESSABLE_ENTITY,
            &json!({ "detail": [item] }),
        )
    }

    /// 200 with a page, as a proxy or a captive portal in between gives.
    pub(super) fn page() -> Self {
        Self {
            status: StatusCode::OK,
            content_type: "text/html; charset=utf-8",
            body: b"<!doctype html><title>Hello</title><p>This is not Svix.".to_vec(),
        }
    }

    /// 200 with exactly `length` bytes of valid JSON (14 at least) that are not what was asked for.
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

    /// Sends the head and half of the body that the head promises, then closes
    /// the connection.
    pub(super) fn truncated(mut self) -> Response {
        if self.status == StatusCode::NO_CONTENT {
            self.status = StatusCode::OK; // a 204 can promise no body
        }
        let promised = self.body.len().max(2);
        self.body.truncate(promised / 2);
        self.body.resize(promised / 2, b' ');
        let half = stream::iter([Ok(self.body)]);
        let cut = stream::once(async {
            // hyper sends what it has buffered when the body has no more for
            // now, and drops it when the body fails: so pause before failing.
            tokio::task::yield_now().await;
            Err(io::Error::from(io::ErrorKind::ConnectionAborted))
        });
        Response::builder()
            .status(self.status)
            .header(header::CONTENT_TYPE, self.content_type)
            .header(header::CONTENT_LENGTH, promised)
            .body(Body::from_bytes_stream(half.chain(cut)))
    }
}

impl From<Answer> for Response {
    fn from(answer: Answer) -> Self {
        let response = Response::builder().status(answer.status);
        if answer.body.is_empty() {
            return response.finish();
        }
        response
            .header(header::CONTENT_TYPE, answer.content_type)
            .body(answer.body)
    }
}
