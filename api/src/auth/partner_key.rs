use poem::{Request, RequestBody};
use poem_openapi::registry::Registry;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use shared::key::PartnerKey;
use shared::store::{Actor, FoundKey, Origin};

use super::{PARTNER_KEY_SCHEME, bearer_token, caller, register_partner_key};
use crate::App;
use crate::error::ApiError;

/// A caller with a partner key that works, sent as a Bearer token: the account's active key,
/// or the one that a rotation has replaced, until its end.
///
/// The key is looked up at each request. Once its revocation is committed, every
/// process refuses it.
pub struct KeyHolder {
    /// The key, as stored.
    pub key: FoundKey,
    /// Where the request came from.
    pub origin: Origin,
}

impl KeyHolder {
    /// Returns the holder of the key in the request.
    async fn authenticate(request: &Request) -> Result<Self, ApiError> {
        let app = request.data::<App>().ok_or_else(ApiError::internal)?;
        let key = caller::limited(app, request, Self::find(app, request)).await?;
        let origin = caller::origin(request, Actor::KeyHolder, None);
        Ok(Self { key, origin })
    }

    async fn find(app: &App, request: &Request) -> Result<FoundKey, ApiError> {
        let key = presented_key(request)?;
        let stored = app.store.key_by_hash(&key.hash(), app.clock.now()).await?;
        stored.ok_or_else(ApiError::no_partner_key)
    }
}

/// Returns the partner key that a request presents as its Bearer token. Whether it works, only
/// the database knows.
pub fn presented_key(request: &Request) -> Result<PartnerKey, ApiError> {
    let token = bearer_token(request.headers()).ok_or_else(ApiError::no_partner_key)?;
    PartnerKey::parse(token).map_err(|_| ApiError::no_partner_key())
}

impl<'a> ApiExtractor<'a> for KeyHolder {
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
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<Self::ParamType>,
    ) -> poem::Result<Self> {
        Ok(Self::authenticate(request).await?)
    }
}
