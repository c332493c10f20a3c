//! `/dashboard`: the page "API & webhooks", which platforms can embed or copy. It is
//! made of static files in the binary and needs only the session cookie.

use poem::http::{Method, header};
use poem::middleware::SetHeader;
use poem::{Endpoint, EndpointExt, Response};
use shared::config::HttpConfig;

use crate::http::{Routes, static_text};

/// The files that the page loads from `/dashboard/`, with their content types.
const FILES: [(&str, &str, &str); 12] = [
    ("icon.svg", "image/svg+xml", include_str!("icon.svg")),
    ("style.css", CSS, include_str!("style.css")),
    ("api.js", JS, include_str!("api.js")),
    ("dialogs.js", JS, include_str!("dialogs.js")),
    ("key-dialog.js", JS, include_str!("key-dialog.js")),
    ("main.js", JS, include_str!("main.js")),
    ("notices.js", JS, include_str!("notices.js")),
    ("poll.js", JS, include_str!("poll.js")),
    ("portal.js", JS, include_str!("portal.js")),
    ("rotation.js", JS, include_str!("rotation.js")),
    ("view.js", JS, include_str!("view.js")),
    ("words.js", JS, include_str!("words.js")),
];
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

const PAGE: &str = include_str!("index.html");
/// The placeholder in the page for the address of the login.
const LOGIN_URL: &str = "{{LOGIN_URL}}";

/// Adds the page and its files to the routes.
pub fn add_to(routes: Routes, http: &HttpConfig) -> Routes {
    let routes = routes.and_at("/dashboard", Method::GET, page(http));
    FILES
        .into_iter()
        .fold(routes, |routes, (name, content_type, text)| {
            let file = static_text(text, content_type);
            routes.and_at(&format!("/dashboard/{name}"), Method::GET, file)
        })
}

fn page(http: &HttpConfig) -> impl Endpoint<Output = Response> + 'static {
    let login = http.login_url.as_deref().unwrap_or_default();
    let page = PAGE.replace(LOGIN_URL, &escaped(login));
    let policy = policy(&http.allowed_origins);
    let headers = SetHeader::new()
        .overriding(header::CONTENT_SECURITY_POLICY, policy)
        .overriding(header::REFERRER_POLICY, "no-referrer")
        .overriding("Cross-Origin-Opener-Policy", "same-origin");
    static_text(page, "text/html; charset=utf-8").with(headers)
}

/// Returns the page's Content-Security-Policy. The page loads only its own files and
/// calls only our own API. It sends no form, and no string becomes markup. The origins
/// that may use the session cookie may also show the page in a frame.
fn policy(allowed_origins: &[String]) -> String {
    let frames = allowed_origins.join(" ");
    let frames = format!("'self' {frames}");
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
         img-src 'self'; base-uri 'none'; form-action 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'; frame-ancestors {}",
        frames.trim_end()
    )
}

/// Escapes a text for the value of an attribute in double quotes.
fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('"', "&quot;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_allowed_origins_may_show_the_page_in_a_frame() {
        assert!(policy(&[]).ends_with("; frame-ancestors 'self'"));
        let two = [
            "https://a.example".to_owned(),
            "https://b.example".to_owned(),
        ];
        assert!(
            policy(&two).ends_with("; frame-ancestors 'self' https://a.example https://b.example")
        );
    }

    #[test]
    fn the_address_of_the_login_is_escaped() {
        assert_eq!(PAGE.matches(LOGIN_URL).count(), 1);
        assert_eq!(escaped("/in?a=1&b=\"<>"), "/in?a=1&amp;b=&quot;&lt;&gt;");
    }
}
