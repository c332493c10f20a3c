//! Other sites, against a signed-in browser.

use reqwest::Method;
use reqwest::header::COOKIE;
use tests::client::KEY_PATH;
use tests::{Deployment, Plan};

const COOKIE_NAME: &str = "__Host-session";

async fn deployment() -> Deployment {
    Deployment::planned(Plan {
        env: vec![("SESSION_COOKIE", COOKIE_NAME.to_owned())],
        ..Plan::default()
    })
    .await
}

/// A sibling domain cannot set a `__Host-` cookie, but one with another kind of space
/// before its name.
#[tokio::test]
async fn a_cookie_with_a_space_that_is_none_before_its_name_is_not_ours() {
    let deployment = deployment().await;
    let session = deployment.session().await;
    for (space, status) in [
        (" ", 200),
        ("\u{2000}", 401),
        ("\u{a0}", 401),
        ("\u{3000}", 401),
    ] {
        let cookie = format!("a=1;{space}{COOKIE_NAME}={session}");
        let send = |request: reqwest::RequestBuilder| request.header(COOKIE, cookie.as_bytes());
        let answer = deployment.client.send(Method::GET, KEY_PATH, send).await;
        assert_eq!(answer.status, status, "{space:?}");
    }
}

/// Our host over plain HTTP, which anybody on the way can answer for, is another site.
#[tokio::test]
async fn what_the_browser_says_of_the_site_is_not_overruled_by_its_origin() {
    let deployment = deployment().await;
    let session = deployment.session().await;
    let host = deployment.client.base().strip_prefix("http://").unwrap();
    for site in ["cross-site", "same-site"] {
        let send = |request: reqwest::RequestBuilder| {
            let request = request.header(COOKIE, format!("{COOKIE_NAME}={session}"));
            let request = request.header("sec-fetch-site", site);
            request.header("origin", format!("http://{host}"))
        };
        let answer = deployment.client.send(Method::POST, KEY_PATH, send).await;
        answer.is_error(403, "forbidden");
    }
}
