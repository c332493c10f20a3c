//! The header `Idempotency-Key`: a name that a client gives to a request, so that it can be
//! told what the request has done when it repeats it.

use poem::http::{HeaderMap, HeaderValue};
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaParamIn, MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use shared::secret_hash::SecretHash;

use crate::error::{ApiError, ErrorCode, messages};

/// The most characters of a value.
const MAX_LENGTH: usize = 255;

/// The SHA-256 of the request's `Idempotency-Key`, if it has one. The value itself is kept
/// nowhere.
pub struct IdempotencyHash(pub Option<SecretHash>);

/// Returns the hash of the header's value. The header must be sent once at most.
fn hash(headers: &HeaderMap, name: &str) -> Result<Option<SecretHash>, ApiError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() || !is_valid(value) {
        let message = messages::INVALID_IDEMPOTENCY_KEY;
        return Err(ApiError::new(ErrorCode::BadRequest, message));
    }
    Ok(Some(SecretHash::of(value.as_bytes())))
}

fn is_valid(value: &HeaderValue) -> bool {
    (1..=MAX_LENGTH).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
}

impl<'a> ApiExtractor<'a> for IdempotencyHash {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];
    const PARAM_IS_REQUIRED: bool = false;

    type ParamType = String;
    type ParamRawType = String;

    fn register(_registry: &mut Registry) {}

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Header)
    }

    // The description says which values are valid, and not the schema: some generators
    // make a type of their own of a text with limits.
    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Some(String::schema_ref())
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        options: ExtractParamOptions<String>,
    ) -> poem::Result<Self> {
        Ok(Self(hash(request.headers(), options.name)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "idempotency-key";

    fn hash_of(values: &[&[u8]]) -> Result<Option<SecretHash>, ApiError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(NAME, HeaderValue::from_bytes(value).unwrap());
        }
        hash(&headers, NAME)
    }

    #[test]
    fn one_value_of_visible_characters_is_accepted() {
        assert_eq!(hash_of(&[]).unwrap(), None);
        let longest = [b'~'; MAX_LENGTH];
        let uuid = b"7d2df0e1-1342-4fbd-a9cd-34843d444cac";
        for value in [&b"!"[..], uuid, &longest] {
            assert_eq!(hash_of(&[value]).unwrap(), Some(SecretHash::of(value)));
        }
    }

    #[test]
    fn anything_else_is_an_error_without_the_value() {
        let too_long = [b'a'; MAX_LENGTH + 1];
        let invalid = [&b""[..], b"two words", b"a\tb", "ä".as_bytes(), &too_long];
        for value in invalid {
            let error = hash_of(&[value]).unwrap_err();
            assert_eq!(error.code, ErrorCode::BadRequest);
            assert_eq!(error.message, messages::INVALID_IDEMPOTENCY_KEY);
        }
        assert!(hash_of(&[b"same", b"same"]).is_err());
    }
}
