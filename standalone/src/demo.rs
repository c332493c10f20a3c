//! The demo account, for users who have not set up a login yet.

use std::time::Duration;

use anyhow::Context;
use api::error::{ApiError, ErrorCode};
use api::{App, Routes};
use poem::http::{Method, StatusCode, Version, header};
use poem::web::Data;
use poem::{Request, Response, handler};
use shared::clock::Clock;
use shared::ids::AccountId;
use shared::session::SessionToken;
use shared::store::Store;

/// The path that signs a browser in to the demo account.
pub const SIGN_IN: &str = "/demo/sign-in";
/// The id of the demo account.
const ACCOUNT: &str = "demo";
/// The lifetime of a demo session.
const SESSION_LIFETIME: Duration = Duration::from_hours(24);

/// Creates a session for the demo account. Fails if the operating system provides
/// no randomness or the store fails.
pub async fn issue_session(store: &dyn Store) -> anyhow::Result<SessionToken> {
    let token =
        SessionToken::generate().context("the operating system did not provide randomness")?;
    let account = AccountId::parse(ACCOUNT)?;
    let now = Clock::system().now();
    store
        .insert_session(&token.hash(), &account, now, now + SESSION_LIFETIME)
        .await?;
    Ok(token)
}

/// The page with the button that signs in.
const PAGE: &str = include_str!("demo.html");
/// The page's policy: our style, and a form that leads back to us.
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// The headers by which a proxy says that a request is somebody else's.
const FORWARDED: [&str; 6] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
];

/// Adds the routes for [`SIGN_IN`]: a page, and the POST of its button. Opening the page
/// changes nothing, so a page that only links to it cannot sign anybody in.
pub fn add_to(routes: Routes) -> Routes {
    routes
        .and_at(SIGN_IN, Method::GET, page)
        .and_at(SIGN_IN, Method::POST, sign_in)
}

#[handler]
fn page(request: &Request) -> poem::Result<Response> {
    refuse_others(request)?;
    Ok(Response::builder()
        .content_type("text/html; charset=utf-8")
        .header(header::CONTENT_SECURITY_POLICY, POLICY)
        .body(PAGE))
}

/// Sets the session cookie and redirects the browser to the dashboard.
#[handler]
async fn sign_in(request: &Request, Data(app): Data<&App>) -> poem::Result<Response> {
    refuse_others(request)?;
    let token = issue_session(&*app.store).await.map_err(|error| {
        tracing::error!(error = format!("{error:#}"), "cannot create a demo session");
        ApiError::internal()
    })?;
    let cookie = format!(
        "{name}={token}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax",
        name = app.http.session_cookie,
        token = token.expose(),
        age = SESSION_LIFETIME.as_secs(),
    );
    Ok(Response::builder()
        .status(StatusCode::SEE_OTHER)
        .header(header::SET_COOKIE, cookie)
        .header(header::LOCATION, "/dashboard")
        .body(()))
}

/// Refuses requests that do not come directly from a browser or a program on this
/// machine.
fn refuse_others(request: &Request) -> Result<(), ApiError> {
    if is_direct(request) && is_from_this_machine(request) {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorCode::Forbidden,
        "The demo sign-in works only on the machine that runs the service, at 127.0.0.1 or \
         localhost, and not through a proxy. On another machine, use the session token that the \
         service printed at startup.",
    ))
}

/// Returns whether no proxy has passed the request on. Proxies of this machine connect
/// from the loopback address too. They add a header, or speak HTTP/1.0 as nginx does by
/// default, which no browser does.
fn is_direct(request: &Request) -> bool {
    let headers = request.headers();
    let is_forwarded = FORWARDED.iter().any(|name| headers.contains_key(*name));
    !is_forwarded && request.version() == Version::HTTP_11
}

/// Returns whether the connection is from this machine and the `Host` header and the
/// `Origin` name it too. They are checked against DNS rebinding (another site's host name
/// that resolves to 127.0.0.1 must not get a session) and against other sites' forms.
fn is_from_this_machine(request: &Request) -> bool {
    let peer = request.remote_addr().as_socket_addr();
    let headers = request.headers();
    let host = headers.get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    let is_ours = headers.get(header::ORIGIN).is_none_or(|origin| {
        let origin = origin
            .to_str()
            .ok()
            .and_then(|text| text.strip_prefix("http://"));
        origin.is_some_and(|origin| origin == host)
    });
    peer.is_some_and(|peer| peer.ip().is_loopback()) && is_loopback_host(host) && is_ours
}

/// Returns whether a `Host` header, with or without a port, names this machine.
fn is_loopback_host(host: &str) -> bool {
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let name = match host.rsplit_once(':') {
        Some((name, digits)) if is_port(digits) => name,
        _ => host,
    };
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_host_names_of_this_machine_are_accepted() {
        for accepted in ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:80"] {
            assert!(is_loopback_host(accepted), "{accepted}");
        }
        for refused in ["", "evil.example:8080", "localhost.evil.example", "::1"] {
            assert!(!is_loopback_host(refused), "{refused}");
        }
    }
}
