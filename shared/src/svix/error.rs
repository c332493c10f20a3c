/// The meaning of a failed call to Svix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SvixFailure {
    /// There was no answer in time. Svix may have done what was asked.
    TimedOut,
    /// The connection failed, the answer was unreadable, or its status was 408 or 5xx.
    /// A retry may succeed.
    Transient,
    /// Svix answered 429.
    RateLimited,
    /// Svix answered 401 or 403: our token is invalid.
    Unauthorized,
    /// The server answered 404 without Svix's error code: it does not have this
    /// route. A server that has none of the routes is not a Svix server.
    NoSuchRoute,
    /// Svix answered 404 with its own error code: the application does not exist.
    NotFound,
    /// Svix answered 409: another call created the application first.
    Conflict,
    /// Svix answered 400 or 422: the same call can never succeed.
    Rejected,
}

impl SvixFailure {
    /// Returns the name that metrics have.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::TimedOut => "timed_out",
            Self::Transient => "transient",
            Self::RateLimited => "rate_limited",
            Self::Unauthorized => "unauthorized",
            Self::NoSuchRoute => "no_such_route",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Rejected => "rejected",
        }
    }
}

/// An error of a call to Svix. The text is for operators and contains no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct SvixError {
    /// The meaning of the error.
    pub failure: SvixFailure,
    pub(super) detail: String,
}

impl SvixError {
    /// Creates an error with this meaning and this text.
    pub fn new(failure: SvixFailure, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { failure, detail }
    }

    /// Returns whether our settings are the cause, so that only an operator can fix it.
    pub fn is_misconfiguration(&self) -> bool {
        matches!(
            self.failure,
            SvixFailure::Unauthorized | SvixFailure::NoSuchRoute
        )
    }

    /// Logs an error and counts a metric if our settings are the cause. The name of
    /// the field follows tracing-opentelemetry's convention for counters.
    pub fn alarm_if_misconfigured(&self) {
        if self.is_misconfiguration() {
            tracing::error!(
                monotonic_counter.svix_misconfigured = 1_u64,
                error = %self,
                "Svix refuses our calls; check SVIX_TOKEN and SVIX_SERVER_URL"
            );
        }
    }

    /// Sorts an error of the SDK. Of the answer's body only Svix's own error code is
    /// kept, because the rest may repeat what we sent.
    pub(super) fn from_sdk(error: svix::error::Error) -> Self {
        use svix::error::Error;
        match error {
            Error::Timeout { .. } => Self::new(SvixFailure::TimedOut, "no answer in time"),
            Error::Validation(_) => Self::new(SvixFailure::Rejected, "HTTP 422"),
            Error::Http(answer) => {
                let code = answer.payload.map(|payload| payload.code);
                let code = code.filter(|code| is_error_code(code));
                let failure = match answer.status.as_u16() {
                    400 | 422 => SvixFailure::Rejected,
                    404 if code.as_deref() == Some("not_found") => SvixFailure::NotFound,
                    401 | 403 => SvixFailure::Unauthorized,
                    404 => SvixFailure::NoSuchRoute,
                    409 => SvixFailure::Conflict,
                    429 => SvixFailure::RateLimited,
                    _ => SvixFailure::Transient,
                };
                let detail = format!(
                    "HTTP {} {}",
                    answer.status.as_u16(),
                    code.unwrap_or_default()
                );
                Self::new(failure, detail.trim_end())
            }
            // The SDK gives only a text here, which may quote an answer. So it is not
            // passed on, and chooses nothing but our own text.
            Error::Generic(text) => {
                let detail = if text.contains("InvalidCertificate") {
                    "the certificate is not trusted"
                } else if text.contains("(Connect") {
                    "could not connect"
                } else if text.contains("hyper") || text.contains("Canceled") {
                    "the connection broke"
                } else {
                    "an unreadable answer"
                };
                Self::new(SvixFailure::Transient, detail)
            }
        }
    }
}

/// Returns whether this looks like one of Svix's error codes, for instance
/// `not_found`.
fn is_error_code(code: &str) -> bool {
    (1..=64).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}
