//! What people are told. The document's examples say the same.

/// 400: the body's framing is wrong.
pub const BROKEN_BODY: &str = "The request body is malformed or ended early.";
/// 401: no valid session.
pub const NO_SESSION: &str =
    "Sign in first: this needs a valid session, in the session cookie or as a Bearer token.";
/// 401: no valid partner key.
pub const NO_PARTNER_KEY: &str =
    "This needs an active partner API key, sent as `Authorization: Bearer pk_live_…`.";
/// 403: the cookie alone does not do.
pub const CROSS_SITE: &str = "This request came from another site. Send it from the dashboard, or \
                              with the session token as `Authorization: Bearer`.";
/// 404: the webhooks are not there yet.
pub const SETTING_UP: &str =
    "Your webhooks are still being set up. This needs no action; please try again later.";
/// 409: one key is all.
pub const KEY_EXISTS: &str =
    "This account already has an active API key. Revoke it first to create a new one.";
/// 413: a body beyond the limit.
pub const LARGE_BODY: &str = "The request body is larger than 16 KiB; none is needed.";
/// 500: a defect.
pub const INTERNAL: &str = "Something went wrong on our side.";
/// 502: Svix.
pub const SVIX_FAILED: &str = "The webhook provider failed. Please try again shortly.";
/// 503: the database.
pub const UNAVAILABLE: &str = "The service is briefly unavailable. Please try again in a moment.";
/// 504: Svix.
pub const SVIX_SLOW: &str =
    "The webhook provider did not answer in time. Please try again shortly.";
