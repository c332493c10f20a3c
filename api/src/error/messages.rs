//! The messages of errors that the OpenAPI document shows as examples.

use std::time::Duration;

use time::format_description::well_known::Rfc3339;

use super::EarlierKey;

/// 400: the body's framing is invalid, or the connection ended.
pub const BROKEN_BODY: &str = "The request body is malformed or ended early.";
/// 400: the operation needs the body, and it did not come within `limit`.
pub fn late_body(limit: Duration) -> String {
    let seconds = limit.as_secs();
    format!("The request body did not arrive within {seconds} seconds. Send all of it at once.")
}
/// 400: the header `Idempotency-Key` is invalid.
pub const INVALID_IDEMPOTENCY_KEY: &str = "The header Idempotency-Key is invalid. Send it once, \
                                           with 1 to 255 visible ASCII characters.";
/// 400: the body is not what the operation expects.
pub const INVALID_BODY: &str =
    "The request body is invalid. Send none, or a JSON object as the API documentation describes.";
/// 400: the body is not what the operation expects, which the document describes.
pub const UNEXPECTED_BODY: &str =
    "The request body is invalid. Send what the API documentation describes for this operation.";
/// 400: the body is not a report of leaked keys.
pub const INVALID_REPORT: &str = "The request body is invalid. Send a JSON object with 1 to 100 \
                                  keys, as the API documentation describes.";
/// 400: the body is not a report of GitHub.
pub const INVALID_GITHUB_REPORT: &str =
    "The request body is not a report of secret scanning: a JSON array of matches.";
/// 400: the report is not GitHub's.
pub const NOT_FROM_GITHUB: &str =
    "The report is not signed with one of GitHub's public keys for secret scanning.";
/// 401: the request has no valid session.
pub const NO_SESSION: &str = "Sign in first: this operation needs a valid session, in the session \
                              cookie or as a Bearer token.";
/// 401: the request has no active partner key.
pub const NO_PARTNER_KEY: &str = "This operation needs an active partner API key, sent as \
                                  `Authorization: Bearer pk_live_…`.";
/// 401: the caller of the internal listener is none of the platform's services.
pub const NO_INTERNAL_TOKEN: &str = "This operation is for the platform's own services: send INTERNAL_TOKEN as `Authorization: Bearer`.";
/// 403: another site sent the request with the session cookie.
pub const CROSS_SITE: &str = "This request came from another site. Send it from the dashboard, or \
                              with the session token as `Authorization: Bearer`.";
/// 404: the webhooks are not set up yet.
pub const SETTING_UP: &str =
    "Your webhooks are still being set up automatically. Please try again later.";
/// 404: the account has no key to replace.
pub const NO_KEY_TO_ROTATE: &str =
    "This account has no active API key to replace. Create one instead.";
/// 409: the account already has its one key.
pub const KEY_EXISTS: &str =
    "This account already has an active API key. Revoke it first to create a new one.";
/// 409: this request has created the key before.
pub fn already_created(key: &EarlierKey) -> String {
    let time = key.created_at.format(&Rfc3339).unwrap_or_default();
    let created = format!(
        "This request, with the same Idempotency-Key, already created the key {} at {time}.",
        key.prefix
    );
    let advice = if key.revoked_at.is_some() {
        "That key has been revoked or replaced since. To create another, send a new Idempotency-Key."
    } else {
        "A key is shown only once: if you have not saved it, revoke it, and create another with \
         a new Idempotency-Key."
    };
    format!("{created} {advice}")
}
/// 409: the account's key has replaced another that still works.
pub const ROTATION_UNDER_WAY: &str =
    "A rotation is under way, and the previous API key still works. Finish or cancel it first.";
/// 409: the key that was replaced has ended.
pub const ROTATION_OVER: &str =
    "The overlap is over: the previous API key has ended, so the rotation cannot be canceled.";
/// 413: the body is over the limit.
pub const LARGE_BODY: &str = "The request body is larger than 16 KiB. No body is needed.";
/// 413: the body is over the usual limit of an operation that reads it.
pub const LARGE_KEPT_BODY: &str = "The request body is larger than 16 KiB.";
/// 413: the body has more than `max` bytes.
pub fn large_kept_body(max: usize) -> String {
    format!("The request body is larger than {} KiB.", max / 1024)
}
/// 415: the content type is not the operation's.
pub const UNSUPPORTED: &str =
    "Send the Content-Type that the API documentation names for this operation.";
/// 429: the client sends too many requests.
pub const RATE_LIMITED: &str =
    "Too many requests. Please wait as long as the Retry-After header says.";
/// 500: the service has a defect.
pub const INTERNAL: &str = "Something went wrong on our side.";
/// 502: Svix failed.
pub const SVIX_FAILED: &str = "The webhook provider failed. Please try again shortly.";
/// 503: too many portal links are asked for at the same time.
pub const PORTAL_BUSY: &str =
    "Many portal links are being opened just now. Please try again in a moment.";
/// 503: the database is unavailable.
pub const UNAVAILABLE: &str =
    "The service is temporarily unavailable. Please try again in a moment.";
/// 504: Svix did not answer in time.
pub const SVIX_SLOW: &str =
    "The webhook provider did not answer in time. Please try again shortly.";
