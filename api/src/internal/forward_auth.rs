use std::fmt::Write;

use poem::http::{HeaderName, HeaderValue};
use poem::{Endpoint, Request, RequestBody, Response};
use poem_openapi::registry::Registry;
use poem_openapi::{ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions, OpenApi};
use shared::ids::AccountId;
use shared::store::FoundKey;

use super::introspect::{Tag, find};
use crate::App;
use crate::auth::{PARTNER_KEY_SCHEME, presented_key, register_partner_key};
use crate::error::{ApiError, DocumentedError, ErrorCode, messages};

/// The path that proxies ask. Some append the path of the client's request.
pub(super) const PATH: &str = "/internal/v1/forward-auth";

/// The operation `GET /internal/v1/forward-auth`, for the document. [`Check`] serves it, for
/// any method and any path below.
pub struct ForwardAuth;

/// The active key in a request, for the document.
struct KeyInRequest;

impl<'a> ApiExtractor<'a> for KeyInRequest {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        register_partner_key(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![PARTNER_KEY_SCHEME]
    }

    async fn from_request(
        _request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<Self::ParamType>,
    ) -> poem::Result<Self> {
        Err(ApiError::internal().into())
    }
}

const X_ACCOUNT_ID: HeaderName = HeaderName::from_static("x-account-id");
const X_KEY_ID: HeaderName = HeaderName::from_static("x-key-id");
const X_KEY_PREFIX: HeaderName = HeaderName::from_static("x-key-prefix");

/// The answer of [`allow`], for the document.
#[derive(ApiResponse)]
#[expect(dead_code, reason = "the document needs only the type")]
enum Allowed {
    /// The key is active. The proxy must copy all three headers to the request that it
    /// passes on, and thereby replace what the client has sent under these names.
    #[oai(status = 200)]
    Key(
        /// The account that the key belongs to. Bytes other than printable ASCII, and `%`,
        /// are percent-encoded.
        #[oai(header = "X-Account-Id")]
        String,
        /// The id of the key.
        #[oai(header = "X-Key-Id")]
        String,
        /// The first 24 characters of the key.
        #[oai(header = "X-Key-Prefix")]
        String,
    ),
}

/// Returns the answer about an active key.
fn allow(key: &FoundKey) -> Result<Response, ApiError> {
    let mut response = Response::default();
    let headers = response.headers_mut();
    for (name, value) in [
        (X_ACCOUNT_ID, header_text(&key.account_id)),
        (X_KEY_ID, key.id.to_string()),
        (X_KEY_PREFIX, key.key_prefix.to_string()),
    ] {
        let value = HeaderValue::try_from(value).map_err(|_| ApiError::internal())?;
        headers.insert(name, value);
    }
    Ok(response)
}

/// The errors of this operation.
pub const ERRORS: &[DocumentedError] = &[
    DocumentedError::new(
        ErrorCode::Unauthorized,
        "There is no active partner API key in the request.",
        messages::NO_PARTNER_KEY,
    ),
    DocumentedError::new(
        ErrorCode::Unavailable,
        "The database is unavailable.",
        messages::UNAVAILABLE,
    ),
];

#[OpenApi]
impl ForwardAuth {
    /// Check the key of a request, for a proxy
    ///
    /// The proxy passes the client's `Authorization` on. Any method is accepted, and any
    /// path below this one; the body is not read.
    #[oai(
        path = "/internal/v1/forward-auth",
        method = "get",
        operation_id = "forwardAuth",
        tag = "Tag::KeyChecks"
    )]
    #[expect(
        clippy::unused_async,
        reason = "poem-openapi takes only async operations"
    )]
    async fn check(&self, _key: KeyInRequest) -> Result<Allowed, ApiError> {
        Err(ApiError::internal())
    }
}

/// Serves the operation. It answers exactly 200 with all three headers, or an error: some
/// proxies let any 2xx pass, and one copies a header from the client's request if the answer
/// lacks it.
pub(super) struct Check {
    pub(super) app: App,
}

impl Endpoint for Check {
    type Output = Response;

    /// The request is not kept until the database answers.
    fn call(&self, request: Request) -> impl Future<Output = poem::Result<Response>> + Send {
        let key = presented_key(&request);
        async move {
            let stored = find(&self.app, &key?).await.map_err(ApiError::from)?;
            let stored = stored.ok_or_else(ApiError::no_partner_key)?;
            Ok(allow(&stored)?)
        }
    }
}

/// Returns an account id as a header can carry it: bytes other than printable ASCII, and
/// `%`, are percent-encoded. Different ids stay different.
fn header_text(account: &AccountId) -> String {
    let mut text = String::new();
    for byte in account.as_str().bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            text.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_account_id_becomes_a_header_and_no_two_become_the_same() {
        for (account, header) in [
            ("auth0|6123", "auth0|6123"),
            ("jo@example.org", "jo@example.org"),
            ("a b", "a%20b"),
            ("a%20b", "a%2520b"),
            ("é", "%C3%A9"),
            ("a\r\nx-key-id: 7", "a%0D%0Ax-key-id:%207"),
        ] {
            assert_eq!(header_text(&AccountId::parse(account).unwrap()), header);
        }
    }
}
