//! A client of the api that checks every answer against the served document.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use reqwest::header::{AUTHORIZATION, HeaderMap};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

/// The path of a key.
pub const KEY_PATH: &str = "/api/v1/partners/api-key";
/// The path of a rotation.
pub const ROTATION_PATH: &str = "/api/v1/partners/api-key/rotation";
/// The path of the end of a rotation.
pub const FINISH_PATH: &str = "/api/v1/partners/api-key/rotation/finish";
/// The path of the portal.
pub const PORTAL_PATH: &str = "/api/v1/partners/portal";

/// The path of reports of leaked keys.
pub const LEAKS_PATH: &str = "/api/v1/partners/leaked-keys";

/// The operations that need a credential. The last takes the partner key, the others a session.
pub const OPERATIONS: [(Method, &str); 7] = [
    (Method::POST, KEY_PATH),
    (Method::GET, KEY_PATH),
    (Method::DELETE, KEY_PATH),
    (Method::POST, ROTATION_PATH),
    (Method::POST, FINISH_PATH),
    (Method::DELETE, ROTATION_PATH),
    (Method::GET, PORTAL_PATH),
];

/// Returns a well-formed key that nobody has created.
pub fn unknown_key() -> String {
    format!("pk_live_{}", "0".repeat(64))
}

/// An answer of the api.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: Status,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as JSON, or null if it is not JSON.
    pub body: Value,
    /// The body as text.
    pub text: String,
}

/// The status of an answer. Its `Debug` also shows the request and the body, so that
/// a failed comparison of two statuses says which request had which answer.
#[derive(Clone)]
pub struct Status {
    code: StatusCode,
    exchange: Arc<str>,
}

impl Deref for Status {
    type Target = StatusCode;

    fn deref(&self) -> &StatusCode {
        &self.code
    }
}

impl PartialEq<u16> for Status {
    fn eq(&self, code: &u16) -> bool {
        self.code == *code
    }
}

impl PartialEq<StatusCode> for Status {
    fn eq(&self, code: &StatusCode) -> bool {
        self.code == *code
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.code.as_u16(), self.exchange)
    }
}

impl Answer {
    /// Returns the text of a field. Panics if there is none.
    pub fn text(&self, field: &str) -> String {
        let text = self.body[field].as_str();
        text.unwrap_or_else(|| panic!("no {field} in {self:?}"))
            .to_owned()
    }

    /// Returns the value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Checks that the answer is an error in the one shape, with this status and code.
    #[track_caller]
    pub fn is_error(&self, status: u16, code: &str) -> &Self {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.body["error"]["code"], code, "{self:?}");
        let message = self.body["error"]["message"].as_str();
        assert!(
            message.is_some_and(|message| !message.is_empty()),
            "{self:?}"
        );
        let members = self.body.as_object().unwrap();
        assert_eq!(members.len(), 1, "{self:?}");
        let detail = members["error"].as_object().unwrap();
        let optional = usize::from(detail.contains_key("created"));
        assert_eq!(detail.len(), 3 + optional, "{self:?}");
        assert_eq!(
            self.body["error"]["request_id"].as_str(),
            self.header("x-request-id"),
            "{self:?}"
        );
        self
    }
}

/// A client of one server.
#[derive(Clone)]
pub struct Client {
    base: String,
    http: reqwest::Client,
    document: Arc<Value>,
}

impl Client {
    /// Creates a client of the server at this URL.
    pub async fn new(base: &str) -> Self {
        let http = crate::http::client();
        let document = http
            .get(format!("{base}/openapi.json"))
            .send()
            .await
            .unwrap();
        let document = Arc::new(document.json().await.unwrap());
        Self {
            base: base.to_owned(),
            http,
            document,
        }
    }

    /// Returns the OpenAPI document that the server serves.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Returns the server's URL.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Calls `createPartnerApiKey` with the session as Bearer token.
    pub async fn create(&self, session: &str) -> Answer {
        self.send(Method::POST, KEY_PATH, |r| r.bearer_auth(session))
            .await
    }

    /// Calls `createPartnerApiKey` with this `Idempotency-Key`.
    pub async fn create_once(&self, session: &str, idempotency_key: &str) -> Answer {
        self.send(Method::POST, KEY_PATH, |request| {
            let request = request.bearer_auth(session);
            request.header("Idempotency-Key", idempotency_key)
        })
        .await
    }

    /// Calls `getPartnerApiKey` with the session as Bearer token.
    pub async fn show(&self, session: &str) -> Answer {
        self.send(Method::GET, KEY_PATH, |r| r.bearer_auth(session))
            .await
    }

    /// Calls `deletePartnerApiKey` with the session as Bearer token.
    pub async fn revoke(&self, session: &str) -> Answer {
        self.send(Method::DELETE, KEY_PATH, |r| r.bearer_auth(session))
            .await
    }

    /// Calls `startPartnerApiKeyRotation` with this overlap in seconds, or without one.
    pub async fn start_rotation(&self, session: &str, overlap: Option<u64>) -> Answer {
        self.send(Method::POST, ROTATION_PATH, |request| {
            let request = request.bearer_auth(session);
            match overlap {
                Some(seconds) => request.json(&serde_json::json!({ "overlap_seconds": seconds })),
                None => request,
            }
        })
        .await
    }

    /// Calls `finishPartnerApiKeyRotation`.
    pub async fn finish_rotation(&self, session: &str) -> Answer {
        self.send(Method::POST, FINISH_PATH, |r| r.bearer_auth(session))
            .await
    }

    /// Calls `cancelPartnerApiKeyRotation`.
    pub async fn cancel_rotation(&self, session: &str) -> Answer {
        self.send(Method::DELETE, ROTATION_PATH, |r| r.bearer_auth(session))
            .await
    }

    /// Calls `getPartnerPortal`.
    pub async fn portal(&self, key: &str) -> Answer {
        self.send(Method::GET, PORTAL_PATH, |r| r.bearer_auth(key))
            .await
    }

    /// Calls `reportLeakedPartnerApiKeys`.
    pub async fn report(&self, keys: &[&str]) -> Answer {
        let body = json!({ "keys": keys });
        self.send(Method::POST, LEAKS_PATH, |request| request.json(&body))
            .await
    }

    /// Sends a request with this `Authorization` header.
    pub async fn authorized(&self, method: Method, path: &str, value: &[u8]) -> Answer {
        self.send(method, path, |request| request.header(AUTHORIZATION, value))
            .await
    }

    /// Sends a request and checks the answer against the document.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        build: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Answer {
        let request = self
            .http
            .request(method.clone(), format!("{}{path}", self.base));
        let response = build(request).send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or_default();
        let request_id = headers.get("x-request-id");
        let exchange = format!("{method} {path}, answer {request_id:?}: {text}").into();
        let answer = Answer {
            status: Status {
                code: status,
                exchange,
            },
            headers,
            body,
            text,
        };
        self.check(&method, path, &answer);
        answer
    }

    /// Checks that the document has the answer's status and that the answer has the
    /// headers which the document requires. Checks the shape of errors.
    fn check(&self, method: &Method, path: &str, answer: &Answer) {
        assert!(answer.header("x-request-id").is_some(), "{answer:?}");
        let status = answer.status.as_u16();
        if status >= 400 && *method != Method::HEAD {
            let code = answer.body["error"]["code"].as_str();
            answer.is_error(
                status,
                code.unwrap_or_else(|| panic!("no code: {answer:?}")),
            );
        }
        let operation = &self.document["paths"][path][method.as_str().to_lowercase()];
        if operation.is_object() {
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            let response = &operation["responses"][status.to_string()];
            assert!(
                response.is_object(),
                "{method} {path}: {status} is not in the document"
            );
            for (name, header) in response["headers"].as_object().into_iter().flatten() {
                let is_missing = header["required"] == true && answer.header(name).is_none();
                assert!(!is_missing, "{method} {path}: {status} without {name}");
            }
        }
    }
}
