//! Tests the clients that generators create from `openapi.yaml`. Each client is used
//! by a program in `tests/clients`. All programs run the same scenarios.

mod checks;
mod errors;
mod guide;
mod lifecycle;
mod rotation;
mod unexpected_responses;

use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The time limit for provisioning on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Defines the tests of each client. Each test calls an `async fn` with the name of
/// the client.
macro_rules! for_each_client {
    ($($client:ident = $name:literal),* $(,)?) => {
        $(mod $client {
            #[tokio::test]
            async fn a_key_is_created_used_and_revoked() {
                super::lifecycle::a_key_is_created_used_and_revoked($name).await;
            }
            #[tokio::test]
            async fn a_key_is_replaced_without_an_interruption() {
                super::rotation::a_key_is_replaced_without_an_interruption($name).await;
            }
            #[tokio::test]
            async fn each_error_has_its_documented_type() {
                super::errors::each_error_has_its_documented_type($name).await;
            }
            #[tokio::test]
            async fn an_unexpected_response_is_parsed_or_reported() {
                super::unexpected_responses::an_unexpected_response_is_parsed_or_reported($name).await;
            }
        })*
        /// The clients' folders in `tests/clients`.
        const CLIENTS: &[&str] = &[$($name),*];
    };
}

for_each_client! {
    go = "go",
    java = "java",
    php = "php",
    python = "python",
    python_openapi_generator = "python-openapi-generator",
    ruby = "ruby",
    rust = "rust",
    typescript_axios = "typescript-axios",
    typescript_fetch = "typescript-fetch",
    typescript_hey_api = "typescript-hey-api",
    typescript_openapi_fetch = "typescript-openapi-fetch",
}

/// Checks that a client parsed a key correctly. `expected` is the JSON of the API.
/// Times are parsed first, because each language writes them differently.
#[track_caller]
fn assert_same_key(parsed: &Value, expected: &Value) {
    let key = &parsed["active_key"];
    for member in ["prefix", "has_webhook"] {
        assert_eq!(key[member], expected[member], "{member}: {parsed}");
    }
    let (webhook, expected_webhook) = (&key["webhook"], &expected["webhook"]);
    for member in ["state", "attempts"] {
        assert_eq!(
            webhook[member], expected_webhook[member],
            "{member}: {parsed}"
        );
    }
    for member in ["created_at", "last_used_at"] {
        assert_eq!(
            milliseconds(&key[member]),
            milliseconds(&expected[member]),
            "{member}: {parsed}"
        );
    }
    let (rotation, expected_rotation) = (&key["rotation"], &expected["rotation"]);
    assert_eq!(
        rotation["previous_prefix"], expected_rotation["previous_prefix"],
        "{parsed}"
    );
    for member in ["previous_expires_at", "previous_last_used_at"] {
        assert_eq!(
            milliseconds(&rotation[member]),
            milliseconds(&expected_rotation[member]),
            "{member}: {parsed}"
        );
    }
    let (next, expected_next) = (
        &webhook["next_attempt_at"],
        &expected_webhook["next_attempt_at"],
    );
    assert_eq!(milliseconds(next), milliseconds(expected_next), "{parsed}");
}

/// Checks that a client parsed the end of the last key correctly. `expected` is the JSON of the
/// API.
#[track_caller]
fn assert_same_end(parsed: &Value, expected: &Value) {
    assert!(parsed["no_key"].is_object(), "{parsed}");
    let (revoked, expected) = (&parsed["no_key"]["revoked"], &expected["revoked"]);
    assert_eq!(revoked["reason"], expected["reason"], "{parsed}");
    let times = [&revoked["at"], &expected["at"]];
    assert_eq!(milliseconds(times[0]), milliseconds(times[1]), "{parsed}");
}

/// Parses a time to milliseconds, the precision that all languages keep.
#[track_caller]
fn milliseconds(text: &Value) -> Option<i128> {
    let text = text.as_str()?;
    let time = OffsetDateTime::parse(text, &Rfc3339);
    let time = time.unwrap_or_else(|error| panic!("{text} is not a time: {error}"));
    Some(time.unix_timestamp_nanos() / 1_000_000)
}
