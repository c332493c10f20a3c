use std::sync::Arc;

use poem::{Request, RequestBody};
use poem_openapi::registry::Registry;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use shared::secret_hash::SecretHash;

use crate::auth::{bearer_token, register_bearer};
use crate::error::{ApiError, ErrorCode, messages};

const SCHEME: &str = "InternalToken";

/// The hashes of the tokens that services may authenticate with.
#[derive(Clone)]
pub struct InternalTokens(pub Arc<[SecretHash]>);

/// A caller that is one of the platform's services: it sends `INTERNAL_TOKEN` as a Bearer
/// token.
pub struct InternalCaller;

impl InternalCaller {
    pub(super) fn authenticate(request: &Request) -> Result<Self, ApiError> {
        let tokens = request.data::<InternalTokens>();
        let tokens = tokens.ok_or_else(ApiError::internal)?;
        let given = bearer_token(request.headers()).map(|token| SecretHash::of(token.as_bytes()));
        // Hashes are compared, so the time that it takes says nothing about the token.
        let is_known = given.is_some_and(|given| tokens.0.contains(&given));
        is_known
            .then_some(Self)
            .ok_or_else(|| ApiError::new(ErrorCode::Unauthorized, messages::NO_INTERNAL_TOKEN))
    }
}

impl<'a> ApiExtractor<'a> for InternalCaller {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        let description = "The setting `INTERNAL_TOKEN`, as a Bearer token.";
        register_bearer(registry, SCHEME, description, None);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![SCHEME]
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<Self::ParamType>,
    ) -> poem::Result<Self> {
        Ok(Self::authenticate(request)?)
    }
}
