//! Test driver: reads the commands of the suite `clients`, one a line, runs them with
//! the generated client, and writes each result as a line of JSON.

mod api;
mod partner;

use std::io::Write as _;

use reqwest::header::{COOKIE, HeaderMap, HeaderValue};
use serde_json::{Value, json};

use api::Client;
use api::types::{ActiveKey, NoKey, PartnerApiKey, Revocation, Rotation, Webhook};
use partner::PartnerError;

type Error = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let base_url = std::env::var("BASE_URL")?;
    for line in std::io::stdin().lines() {
        let line = line?;
        let mut words = line.split(' ');
        let (Some(command), Some(credential)) = (words.next(), words.next()) else {
            return Err("a command is COMMAND CREDENTIAL [ARGUMENT]".into());
        };
        let argument = words.next().unwrap_or_default();
        let client = match credential.split_once(':') {
            Some(("cookie", token)) => with_cookie(&base_url, token)?,
            Some(("bearer", token)) => partner::client(&base_url, token)?,
            _ => return Err("a credential is bearer:TOKEN or cookie:TOKEN".into()),
        };
        let result = run(command, &client, argument).await;
        let result = result.unwrap_or_else(error_json);
        let mut out = std::io::stdout();
        writeln!(out, "{result}")?;
        out.flush()?;
    }
    Ok(())
}

/// Creates a client that sends the session cookie, but neither `Origin` nor
/// `Sec-Fetch-Site`, which a browser would send.
fn with_cookie(base_url: &str, token: &str) -> Result<Client, Error> {
    let cookie = HeaderValue::try_from(format!("session={token}"))?;
    let http = reqwest::Client::builder()
        .default_headers(HeaderMap::from_iter([(COOKIE, cookie)]))
        .build()?;
    Ok(Client::new_with_client(base_url, http))
}

async fn run(command: &str, client: &Client, argument: &str) -> Result<Value, PartnerError> {
    Ok(match command {
        "create" => {
            let key = partner::create(client, argument).await?;
            json!({"created": {"api_key": key.api_key, "prefix": key.prefix, "message": key.message}})
        }
        "rotate" => {
            let key = partner::rotate(client, argument, 3600).await?;
            let (previous, expires_at) = (&key.previous, key.previous.expires_at.to_rfc3339());
            json!({"rotated": {
                "api_key": key.api_key,
                "prefix": key.prefix,
                "message": key.message,
                "previous": {"prefix": previous.prefix, "expires_at": expires_at},
            }})
        }
        "finish" => {
            partner::finish_rotation(client).await?;
            json!({"finished": {}})
        }
        "cancel" => {
            partner::cancel_rotation(client).await?;
            json!({"canceled": {}})
        }
        "show" => match partner::show(client).await? {
            PartnerApiKey::ActiveKey(key) => json!({"active_key": key_json(&key)}),
            PartnerApiKey::NoKey(key) => json!({"no_key": no_key_json(&key)}),
        },
        "revoke" => {
            partner::revoke(client).await?;
            json!({"revoked": {}})
        }
        "portal" => json!({"portal": {"url": partner::open_portal(client).await?}}),
        "report" => {
            let found_at = "https://example.com/a-public-file".to_owned();
            partner::report_leaked(client, vec![argument.to_owned()], found_at).await?;
            json!({"reported": {}})
        }
        other => {
            json!({"unexpected": {"status": null, "reason": format!("unknown command: {other}")}})
        }
    })
}

fn no_key_json(key: &NoKey) -> Value {
    let revoked =
        |revoked: &Revocation| json!({"at": revoked.at.to_rfc3339(), "reason": revoked.reason});
    json!({"revoked": key.revoked.as_ref().map(revoked)})
}

fn key_json(key: &ActiveKey) -> Value {
    let webhook = |webhook: &Webhook| {
        json!({
            "state": webhook.state,
            "attempts": webhook.attempts,
            "next_attempt_at": webhook.next_attempt_at.map(|at| at.to_rfc3339()),
        })
    };
    let rotation = |rotation: &Rotation| {
        json!({
            "previous_prefix": rotation.previous_prefix,
            "previous_expires_at": rotation.previous_expires_at.to_rfc3339(),
            "previous_last_used_at": rotation.previous_last_used_at.map(|at| at.to_rfc3339()),
        })
    };
    json!({
        "prefix": key.prefix,
        "has_webhook": key.has_webhook,
        "created_at": key.created_at.to_rfc3339(),
        "last_used_at": key.last_used_at.map(|at| at.to_rfc3339()),
        "webhook": key.webhook.as_ref().map(webhook),
        "rotation": key.rotation.as_ref().map(rotation),
    })
}

fn error_json(error: PartnerError) -> Value {
    match error {
        PartnerError::Documented {
            status,
            error,
            retry_after,
        } => json!({"error": {
            "status": status.as_u16(),
            "code": error.code,
            "message": error.message,
            "request_id": error.request_id,
            "retry_after": retry_after.map(|after| after.as_secs()),
            "created": error.created.map(|key| json!({
                "prefix": key.prefix,
                "created_at": key.created_at.to_rfc3339(),
                "revoked_at": key.revoked_at.map(|at| at.to_rfc3339()),
            })),
        }}),
        PartnerError::Unexpected(status, reason) => json!({"unexpected": {
            "status": status.map(|status| status.as_u16()),
            "reason": reason,
        }}),
    }
}
