use poem::http::StatusCode;
use poem_openapi::{Enum, Object};
use shared::clock::Timestamp;
use shared::store::KeyOfRequest;
use time::OffsetDateTime;

/// The kind of error, for programs. A code always has the same status; a status may
/// get further codes in the future. Some codes are reserved, or are used only for
/// addresses and methods that are not in this document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum ErrorCode {
    /// 400: the request is malformed.
    BadRequest,
    /// 401: the request has no valid credentials.
    Unauthorized,
    /// 403: another site sent the request with the session cookie.
    Forbidden,
    /// 404: there is nothing at this address, or not yet.
    NotFound,
    /// 405: the address does not support the method.
    MethodNotAllowed,
    /// 409: the account already has an active key, or this request has created one before.
    Conflict,
    /// 413: the request is too large.
    PayloadTooLarge,
    /// 415: the content type is not supported.
    UnsupportedMediaType,
    /// 429: the client sends too many requests.
    RateLimited,
    /// 500: the service has a defect.
    Internal,
    /// 502: Svix failed.
    BadGateway,
    /// 503: the database or the identity provider is unavailable.
    Unavailable,
    /// 504: Svix did not answer in time.
    GatewayTimeout,
}

impl ErrorCode {
    /// Returns the status of responses with this code.
    pub fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict => StatusCode::CONFLICT,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::BadGateway => StatusCode::BAD_GATEWAY,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::GatewayTimeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// Returns the code for a status that the framework chose.
    pub fn from_status(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::Unauthorized,
            StatusCode::FORBIDDEN => Self::Forbidden,
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::CONFLICT => Self::Conflict,
            StatusCode::PAYLOAD_TOO_LARGE => Self::PayloadTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::UnsupportedMediaType,
            StatusCode::TOO_MANY_REQUESTS => Self::RateLimited,
            StatusCode::SERVICE_UNAVAILABLE => Self::Unavailable,
            status if status.is_client_error() => Self::BadRequest,
            _ => Self::Internal,
        }
    }
}

/// The body of every error.
#[derive(Debug, Object)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorDetail,
}

/// A description of the error.
#[derive(Debug, Object)]
pub struct ErrorDetail {
    /// The kind of error, for programs.
    pub code: ErrorCode,
    /// What happened and what to do about it, for people.
    pub message: String,
    /// The id of this request, as in the `X-Request-Id` header. Quote it when you contact
    /// support.
    pub request_id: String,
    /// The key that this request has created before.
    #[oai(skip_serializing_if_is_none)]
    pub created: Option<EarlierKey>,
}

/// The key that this very request, with the same `Idempotency-Key`, has created before. Only
/// errors with the code `conflict` have it. The key itself was shown only once.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
pub struct EarlierKey {
    /// The first 24 characters of the key.
    pub prefix: String,
    /// The time at which the key was created.
    pub created_at: OffsetDateTime,
    /// The time at which the key was revoked or, if another has replaced it, at which it ends.
    /// Missing while it is active.
    #[oai(skip_serializing_if_is_none)]
    pub revoked_at: Option<OffsetDateTime>,
}

impl From<KeyOfRequest> for EarlierKey {
    fn from(key: KeyOfRequest) -> Self {
        Self {
            prefix: key.key_prefix.to_string(),
            created_at: key.created_at.to_offset_date_time(),
            revoked_at: key.revoked_at.map(Timestamp::to_offset_date_time),
        }
    }
}
