//! Runs the commands that the suite `clients` sends, over the generated Rust
//! client: a line in, a line of JSON out.

mod api;
mod partner;

use std::io::Write as _;

use reqwest::header::{COOKIE, HeaderMap, HeaderValue};
use serde_json::{Value, json};

use api::Client;
use api::types::{ActiveKey, Webhook};
use partner::PartnerError;

type Failure = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let base_url = std::env::var("BASE_URL")?;
    for line in std::io::stdin().lines() {
        let line = line?;
        let (command, session) = line.split_once(' ').ok_or("COMMAND SESSION")?;
        let client = match session.split_once(':') {
            Some(("cookie", token)) => with_cookie(&base_url, token)?,
            Some(("bearer", token)) => partner::client(&base_url, token)?,
            _ => return Err("a session is bearer:TOKEN or cookie:TOKEN".into()),
        };
        let answer = run(command, &client).await.unwrap_or_else(refusal);
        let mut out = std::io::stdout();
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

/// As a browser presents a session, but without what browsers say of the site.
fn with_cookie(base_url: &str, token: &str) -> Result<Client, Failure> {
    let cookie = HeaderValue::try_from(format!("session={token}"))?;
    let http = reqwest::Client::builder()
        .default_headers(HeaderMap::from_iter([(COOKIE, cookie)]))
        .build()?;
    Ok(Client::new_with_client(base_url, http))
}

async fn run(command: &str, client: &Client) -> Result<Value, PartnerError> {
    Ok(match command {
        "create" => {
            let key = partner::create(client).await?;
            json!({"created": {"api_key": key.api_key, "prefix": key.prefix, "message": key.message}})
        }
        "show" => match partner::show(client).await? {
            Some(key) => json!({"active_key": active_key(&key)}),
            None => json!({"no_key": {}}),
        },
        "revoke" => {
            partner::revoke(client).await?;
            json!({"revoked": {}})
        }
        "portal" => json!({"portal": {"url": partner::open_portal(client).await?}}),
        other => json!({"unexpected": {"status": null, "reason": format!("command {other}")}}),
    })
}

fn active_key(key: &ActiveKey) -> Value {
    let webhook = |webhook: &Webhook| {
        json!({
            "state": webhook.state,
            "attempts": webhook.attempts,
            "next_attempt_at": webhook.next_attempt_at.map(|at| at.to_rfc3339()),
        })
    };
    json!({
        "prefix": key.prefix,
        "has_webhook": key.has_webhook,
        "created_at": key.created_at.to_rfc3339(),
        "last_used_at": key.last_used_at.map(|at| at.to_rfc3339()),
        "webhook": key.webhook.as_ref().map(webhook),
    })
}

fn refusal(error: PartnerError) -> Value {
    match error {
        PartnerError::Refused {
            status,
            error,
            retry_after,
        } => json!({"error": {
            "status": status.as_u16(),
            "code": error.code,
            "message": error.message,
            "request_id": error.request_id,
            "retry_after": retry_after.map(|after| after.as_secs()),
        }}),
        PartnerError::Unexpected(status, reason) => json!({"unexpected": {
            "status": status.map(|status| status.as_u16()),
            "reason": reason,
        }}),
    }
}
