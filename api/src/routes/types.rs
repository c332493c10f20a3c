//! Parts that several operations use in their types.

use std::borrow::Cow;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use serde_json::Value;

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
