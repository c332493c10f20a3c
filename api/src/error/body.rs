use poem::http::StatusCode;
use poem_openapi::{Enum, Object};

/// What went wrong, for programs. A status may in time have several codes; a
/// code always has one status. Some are for addresses and methods that are not in
/// this document, or reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum ErrorCode {
    /// 400: the request is malformed.
    BadRequest,
    /// 401: no valid credentials.
    Unauthorized,
    /// 403: a cross-site request with the session cookie.
    Forbidden,
    /// 404: nothing there (yet).
    NotFound,
    /// 405: not with this method.
    MethodNotAllowed,
    /// 409: the account already has an active key.
    Conflict,
    /// 413: the request is too large.
    PayloadTooLarge,
    /// 415: not with this content type.
    UnsupportedMediaType,
    /// 429: too many requests.
    RateLimited,
    /// 500: a defect on our side.
    Internal,
    /// 502: Svix failed.
    BadGateway,
    /// 503: the database, or the identity provider, is unavailable.
    Unavailable,
    /// 504: Svix did not answer in time.
    GatewayTimeout,
}

impl ErrorCode {
    /// The status it comes with.
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

    /// The code for a status that the framework chose.
    pub fn of_status(status: StatusCode) -> Self {
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

/// What went wrong.
#[derive(Debug, Object)]
pub struct ErrorDetail {
    /// For programs.
    pub code: ErrorCode,
    /// For people: what happened and what to do about it.
    pub message: String,
    /// Names this request, as the `X-Request-Id` header does. Worth quoting to support.
    pub request_id: String,
}
