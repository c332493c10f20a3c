//! Parts that several operations use in their types.

use std::borrow::Cow;

use poem::{FromRequest, Request, RequestBody};
use poem_openapi::payload::{Json, Payload};
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::{Example, ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions, Object};
use serde_json::Value;

use crate::error::{ApiError, ErrorCode};

/// The key prefix in the document's examples.
pub const EXAMPLE_PREFIX: &str = "pk_live_0123456789abcdef";

/// A boolean that is always `B`. It tells the shapes of a union apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConstBool<const B: bool>;

impl<const B: bool> Type for ConstBool<B> {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        format!("boolean_{B}").into()
    }

    fn schema_ref() -> MetaSchemaRef {
        let mut schema = MetaSchema::new("boolean");
        schema.enum_items = vec![Value::Bool(B)];
        MetaSchemaRef::Inline(Box::new(schema))
    }

    fn as_raw_value(&self) -> Option<&Self::RawValueType> {
        Some(self)
    }

    fn raw_element_iter<'a>(
        &'a self,
    ) -> Box<dyn Iterator<Item = &'a Self::RawElementValueType> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl<const B: bool> ParseFromJSON for ConstBool<B> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value {
            Some(Value::Bool(given)) if given == B => Ok(Self),
            other => Err(ParseError::expected_type(other.unwrap_or_default())),
        }
    }
}

impl<const B: bool> ToJSON for ConstBool<B> {
    fn to_json(&self) -> Option<Value> {
        Some(Value::Bool(B))
    }
}

/// No rotation is under way any more.
#[derive(Object)]
#[oai(example)]
pub struct EndedRotation {
    /// Always true.
    success: ConstBool<true>,
}

impl EndedRotation {
    /// Creates the only value.
    pub fn new() -> Self {
        Self { success: ConstBool }
    }
}

impl Example for EndedRotation {
    fn example() -> Self {
        Self::new()
    }
}

/// A JSON object that an operation takes as its body. Members that it does not know are ignored.
pub trait JsonBody: ParseFromJSON {
    /// The error message if the body is something else.
    const INVALID: &'static str;
}

/// The body of a request that may have one. poem-openapi's own type would refuse a request
/// without a body, which has no content type, and would repeat invalid values in its errors.
pub struct OptionalJson<T>(pub Option<T>);

/// The body of a request that must have one, like [`OptionalJson`].
pub struct RequiredJson<T>(pub T);

impl<'a, T: JsonBody> ApiExtractor<'a> for OptionalJson<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(json_body::<T>(false))
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<Self::ParamType>,
    ) -> poem::Result<Self> {
        let body = <Vec<u8> as FromRequest>::from_request(request, body).await?;
        if body.is_empty() {
            return Ok(Self(None));
        }
        Ok(Self(Some(parse(&body)?)))
    }
}

impl<'a, T: JsonBody> ApiExtractor<'a> for RequiredJson<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(json_body::<T>(true))
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<Self::ParamType>,
    ) -> poem::Result<Self> {
        let body = <Vec<u8> as FromRequest>::from_request(request, body).await?;
        Ok(Self(parse(&body)?))
    }
}

/// Returns the description of a request body.
fn json_body<T: JsonBody>(required: bool) -> MetaRequest {
    MetaRequest {
        description: None,
        content: vec![MetaMediaType {
            content_type: Json::<T>::CONTENT_TYPE,
            schema: T::schema_ref(),
        }],
        required,
    }
}

fn parse<T: JsonBody>(body: &[u8]) -> Result<T, ApiError> {
    let value: Option<Value> = serde_json::from_slice(body).ok();
    let parsed = value.and_then(|value| T::parse_from_json(Some(value)).ok());
    parsed.ok_or_else(|| ApiError::new(ErrorCode::BadRequest, T::INVALID))
}
