//! Who may call what: every credential that is not quite one, sessions in the
//! cookie and as Bearer, and requests that other sites make.

mod accounts;
mod cross_site;
mod malformed;
mod sessions;

use std::time::Duration;

use reqwest::{Method, header};
use tests::client::KEY_PATH;
use tests::{Answer, Client, Deployment};

const SOON: Duration = Duration::from_secs(10);

/// What a browser says of a request that the site's own page makes.
const OWN_PAGE: (&str, &str) = ("sec-fetch-site", "same-origin");

/// A request with these headers and nothing else. A name may come several times.
async fn send(client: &Client, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let with = |request: reqwest::RequestBuilder| {
        let add = |request: reqwest::RequestBuilder, (name, value): &(&str, &str)| {
            request.header(*name, value.as_bytes())
        };
        headers.iter().fold(request, add)
    };
    client.send(method, path, with).await
}

/// An operation on the key, from the site's own page, with these cookies.
async fn by_cookie(client: &Client, method: Method, cookies: &str) -> Answer {
    let headers = [(header::COOKIE.as_str(), cookies), OWN_PAGE];
    send(client, method, KEY_PATH, &headers).await
}

#[track_caller]
fn is_unauthorized(answer: &Answer) {
    answer.is_error(401, "unauthorized");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
}

/// A new account's session and its key.
async fn key(deployment: &Deployment) -> (String, String) {
    let session = deployment.session().await;
    let created = deployment.client.create(&session).await;
    assert_eq!(created.status, 201, "{created:?}");
    (session, created.text("api_key"))
}
