use futures_util::FutureExt;
use poem::web::Data;
use poem::{Endpoint, IntoResponse, Request, Response};
use poem_openapi::payload::{Form, Json};
use poem_openapi::types::Example;
use poem_openapi::{ApiExtractor, ApiResponse, ExtractParamOptions, Object, OpenApi, Tags};
use serde::{Deserialize, Serialize};
use shared::key::PartnerKey;
use shared::store::{FoundKey, StoreError};

use super::InternalCaller;
use super::direct_json::DirectJson;
use crate::error::{ApiError, DocumentedError, ErrorCode, messages};
use crate::{App, lookups};

/// The groups of operations in the document.
#[derive(Tags)]
pub(super) enum Tag {
    /// Asking whether a key is valid.
    #[oai(rename = "Key checks")]
    KeyChecks,
}

/// The path of the operation about one key.
pub(super) const PATH: &str = "/internal/v1/keys/introspect";

/// The operation `POST /internal/v1/keys/introspect`, for the document. [`Check`] serves it.
pub struct Introspect;

/// The operation `POST /internal/v1/keys/introspect-many`.
pub struct IntrospectMany;

/// A question about one key, as in RFC 7662.
#[derive(Object, Deserialize)]
struct IntrospectionForm {
    /// The key to look up.
    token: String,
    /// A hint about the kind of token. It is ignored.
    token_type_hint: Option<String>,
}

/// A question about several keys.
#[derive(Object)]
struct ManyKeys {
    /// The keys to look up.
    #[oai(validator(min_items = 1, max_items = 100))]
    tokens: Vec<String>,
}

/// The answer about a key, as in RFC 7662. If the key is not active, `active` is the only
/// member.
#[derive(Object, Serialize)]
#[oai(example)]
struct Introspection {
    /// True if the key may be used now. False for a key that is unknown or revoked, and for
    /// what is no key.
    active: bool,
    /// The account that the key belongs to.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    /// The same as `sub`: each account is a client of its own.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// The id of the key.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    /// The time at which the key was created, in seconds since 1970.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    /// Always `Bearer`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<String>,
    /// The first 24 characters of the key.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
}

/// The answer about several keys.
#[derive(Object, Serialize)]
struct Introspections {
    /// One entry for each key, in the order in which they were asked for.
    keys: Vec<Introspection>,
}

impl Introspection {
    fn of(key: Option<FoundKey>) -> Self {
        let Some(key) = key else {
            return Self {
                active: false,
                sub: None,
                client_id: None,
                jti: None,
                iat: None,
                token_type: None,
                prefix: None,
            };
        };
        let account = key.account_id.to_string();
        Self {
            active: true,
            sub: Some(account.clone()),
            client_id: Some(account),
            jti: Some(key.id.to_string()),
            iat: Some(key.created_at.as_micros().div_euclid(1_000_000)),
            token_type: Some("Bearer".to_owned()),
            prefix: Some(key.key_prefix.to_string()),
        }
    }
}

impl Example for Introspection {
    fn example() -> Self {
        Self {
            active: true,
            sub: Some("auth0|6123".to_owned()),
            client_id: Some("auth0|6123".to_owned()),
            jti: Some("01a2057d-6cfd-7146-871e-0b787339b628".to_owned()),
            iat: Some(1_798_797_600),
            token_type: Some("Bearer".to_owned()),
            prefix: Some("pk_live_0123456789abcdef".to_owned()),
        }
    }
}

/// The answer of [`Check`], for the document.
#[derive(ApiResponse)]
#[expect(dead_code, reason = "the document needs only the type")]
enum Introspected {
    /// The answer about the key.
    #[oai(status = 200)]
    Key(DirectJson<Introspection>),
}

#[derive(ApiResponse)]
enum ManyIntrospected {
    /// The answers about the keys.
    #[oai(status = 200)]
    Keys(DirectJson<Introspections>),
}

/// The errors of these operations.
pub const ERRORS: &[DocumentedError] = &[
    DocumentedError::new(
        ErrorCode::BadRequest,
        "The request is malformed, or its body ended early or came too late.",
        messages::BROKEN_BODY,
    ),
    DocumentedError::new(
        ErrorCode::PayloadTooLarge,
        "The request body is larger than 16 KiB.",
        messages::LARGE_KEPT_BODY,
    ),
    DocumentedError::new(
        ErrorCode::Unauthorized,
        "The caller is none of the platform's services.",
        messages::NO_INTERNAL_TOKEN,
    ),
    DocumentedError::new(
        ErrorCode::UnsupportedMediaType,
        "The content type is not the one of this operation.",
        messages::UNSUPPORTED,
    ),
    DocumentedError::new(
        ErrorCode::Unavailable,
        "The database is unavailable.",
        messages::UNAVAILABLE,
    ),
];

#[OpenApi]
impl Introspect {
    /// Check a partner's key
    ///
    /// Token introspection, RFC 7662. A 401 is about the caller, never about the key.
    #[oai(
        path = "/internal/v1/keys/introspect",
        method = "post",
        operation_id = "introspectPartnerApiKey",
        tag = "Tag::KeyChecks"
    )]
    #[expect(
        clippy::unused_async,
        reason = "poem-openapi takes only async operations"
    )]
    async fn one(
        &self,
        _caller: InternalCaller,
        _form: Form<IntrospectionForm>,
    ) -> Result<Introspected, ApiError> {
        Err(ApiError::internal())
    }
}

#[OpenApi]
impl IntrospectMany {
    /// Check many keys
    ///
    /// The same for up to 100 keys at once.
    #[oai(
        path = "/internal/v1/keys/introspect-many",
        method = "post",
        operation_id = "introspectPartnerApiKeys",
        tag = "Tag::KeyChecks"
    )]
    async fn many(
        &self,
        _caller: InternalCaller,
        Data(app): Data<&App>,
        Json(many): Json<ManyKeys>,
    ) -> Result<ManyIntrospected, ApiError> {
        let lookups = many.tokens.iter().map(|token| find_token(app, token));
        let found = lookups::all(lookups.collect()).await?;
        let keys = found.into_iter().map(Introspection::of).collect();
        Ok(ManyIntrospected::Keys(DirectJson(Introspections { keys })))
    }
}

/// Serves the operation about one key.
pub(super) struct Check {
    pub(super) app: App,
}

impl Endpoint for Check {
    type Output = Response;

    /// The request is not kept until the database answers.
    fn call(&self, request: Request) -> impl Future<Output = poem::Result<Response>> + Send {
        let token = asked_token(request);
        async move {
            let key = find_token(&self.app, &token?).await;
            let key = Introspection::of(key.map_err(ApiError::from)?);
            Ok(DirectJson(key).into_response())
        }
    }
}

/// Returns the token that a service asks about.
fn asked_token(request: Request) -> poem::Result<String> {
    let (request, mut body) = request.split();
    InternalCaller::authenticate(&request)?;
    let form = Form::from_request(&request, &mut body, ExtractParamOptions::default());
    // The body was received before, so there is nothing to wait for.
    let form = form.now_or_never().ok_or_else(ApiError::internal)?;
    let Form(IntrospectionForm { token, .. }) = form?;
    Ok(token)
}

/// Looks up a key that works now, and records its use. A malformed key costs no query.
async fn find_token(app: &App, token: &str) -> Result<Option<FoundKey>, StoreError> {
    let Ok(key) = PartnerKey::parse(token) else {
        return Ok(None);
    };
    find(app, &key).await
}

/// Looks up a key that works now, and records its use.
pub(super) async fn find(app: &App, key: &PartnerKey) -> Result<Option<FoundKey>, StoreError> {
    let now = app.clock.now();
    let stored = app.store.key_by_hash(&key.hash(), now).await?;
    if let Some(stored) = &stored {
        app.uses.record(stored, now);
    }
    Ok(stored)
}

#[cfg(test)]
mod tests {
    use poem_openapi::types::ToJSON;

    use super::*;

    /// The document is made for poem-openapi's JSON.
    #[test]
    fn serde_writes_what_the_document_says() {
        let keys = vec![Introspection::example(), Introspection::of(None)];
        let keys = Introspections { keys };
        assert_eq!(serde_json::to_value(&keys).ok(), keys.to_json());
    }
}
