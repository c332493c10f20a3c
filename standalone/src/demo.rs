//! The demo account: a login for those who have none yet.

use std::time::Duration;

use anyhow::Context;
use api::App;
use api::error::{ApiError, ErrorCode};
use poem::http::{StatusCode, header};
use poem::web::Data;
use poem::{Request, Response, Route, get, handler};
use shared::clock::Clock;
use shared::ids::AccountId;
use shared::session::SessionToken;
use shared::store::Store;

/// The address that signs a browser in.
pub const SIGN_IN: &str = "/demo/sign-in";
/// The account.
const ACCOUNT: &str = "demo";
/// How long its sessions last.
const SESSION: Duration = Duration::from_hours(24);

/// Issues a session of the demo account.
pub async fn issue_session(store: &dyn Store) -> anyhow::Result<SessionToken> {
    let token = SessionToken::generate().context("the operating system gave no randomness")?;
    let account = AccountId::parse(ACCOUNT)?;
    let now = Clock::system().now();
    store
        .insert_session(&token.hash(), &account, now, now + SESSION)
        .await?;
    Ok(token)
}

/// Adds the sign-in to the routes.
pub fn add_to(routes: Route) -> Route {
    routes.at(SIGN_IN, get(sign_in))
}

/// Signs the browser in and sends it to the dashboard.
#[handler]
async fn sign_in(request: &Request, Data(app): Data<&App>) -> poem::Result<Response> {
    if !is_from_this_machine(request) {
        return Err(ApiError::new(
            ErrorCode::Forbidden,
            "The demo sign-in works only on the machine that runs the service, at 127.0.0.1 or \
             localhost. From elsewhere, use the session token that the service printed.",
        ))?;
    }
    let token = issue_session(&*app.store).await.map_err(|error| {
        tracing::error!(error = format!("{error:#}"), "no demo session");
        ApiError::internal()
    })?;
    let cookie = format!(
        "{name}={token}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax",
        name = app.http.session_cookie,
        token = token.expose(),
        age = SESSION.as_secs(),
    );
    Ok(Response::builder()
        .status(StatusCode::SEE_OTHER)
        .header(header::SET_COOKIE, cookie)
        .header(header::LOCATION, "/dashboard")
        .body(()))
}

/// Whether the connection is from this machine, and the browser meant it: a
/// foreign name that was made to lead here (DNS rebinding) gets no session.
fn is_from_this_machine(request: &Request) -> bool {
    let peer = request.remote_addr().as_socket_addr();
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    peer.is_some_and(|peer| peer.ip().is_loopback()) && is_loopback(host)
}

/// Whether a `Host` header, with or without a port, names this machine.
fn is_loopback(host: &str) -> bool {
    let port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let name = match host.rsplit_once(':') {
        Some((name, digits)) if port(digits) => name,
        _ => host,
    };
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_names_of_this_machine_are_taken() {
        for good in ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:80"] {
            assert!(is_loopback(good), "{good}");
        }
        for bad in ["", "evil.example:8080", "localhost.evil.example", "::1"] {
            assert!(!is_loopback(bad), "{bad}");
        }
    }
}
