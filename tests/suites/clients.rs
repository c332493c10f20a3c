//! The clients that generators make of `openapi.yaml`, each in a program of its
//! own in `tests/clients`: one scenario for all of them.

mod errors;
mod guide;
mod lifecycle;
mod odd_answers;

use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Enough for a provisioning, on a busy machine.
const SOON: Duration = Duration::from_secs(15);

/// Makes a test for each client of each `async fn name(client: &'static str)`.
macro_rules! for_each_client {
    ($($client:ident = $name:literal),* $(,)?) => {
        $(mod $client {
            #[tokio::test]
            async fn the_whole_life_of_a_key() {
                super::lifecycle::the_whole_life_of_a_key($name).await;
            }
            #[tokio::test]
            async fn each_error_is_typed() {
                super::errors::each_error_is_typed($name).await;
            }
            #[tokio::test]
            async fn an_odd_answer_is_read_or_told() {
                super::odd_answers::an_odd_answer_is_read_or_told($name).await;
            }
        })*
        /// The folders of `tests/clients`.
        const CLIENTS: &[&str] = &[$($name),*];
    };
}

for_each_client! {
    go = "go",
    java = "java",
    python = "python",
    rust = "rust",
    typescript_hey_api = "typescript-hey-api",
    typescript_openapi_fetch = "typescript-openapi-fetch",
}

/// Checks that a client understood what the api says of a key: `said` is the
/// api's own JSON. Times are compared as such, as each language writes its own.
#[track_caller]
fn assert_same_key(understood: &Value, said: &Value) {
    let key = &understood["active_key"];
    for member in ["prefix", "has_webhook"] {
        assert_eq!(key[member], said[member], "{member}: {understood}");
    }
    let (webhook, said_webhook) = (&key["webhook"], &said["webhook"]);
    for member in ["state", "attempts"] {
        assert_eq!(
            webhook[member], said_webhook[member],
            "{member}: {understood}"
        );
    }
    for member in ["created_at", "last_used_at"] {
        assert_eq!(
            time(&key[member]),
            time(&said[member]),
            "{member}: {understood}"
        );
    }
    let (next, said_next) = (
        &webhook["next_attempt_at"],
        &said_webhook["next_attempt_at"],
    );
    assert_eq!(time(next), time(said_next), "{understood}");
}

/// The time in an answer, to the millisecond that every language keeps.
#[track_caller]
fn time(text: &Value) -> Option<i128> {
    let text = text.as_str()?;
    let time = OffsetDateTime::parse(text, &Rfc3339);
    let time = time.unwrap_or_else(|error| panic!("{text} is no time: {error}"));
    Some(time.unix_timestamp_nanos() / 1_000_000)
}
