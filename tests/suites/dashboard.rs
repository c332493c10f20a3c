//! The dashboard page, in a real Chromium. The steps of each case are in
//! `tests/browser/cases`, in the file of the same name.

use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Client as Http, Method, Response, redirect};
use rstest::rstest;
use serde_json::{Value, json};
use tests::Kind::{self, Embedded, Production};
use tests::browser::{drive, run};
use tests::process::free_port;
use tests::{Deployment, Process, scratch};

/// Sessions of further accounts.
async fn others(deployment: &Deployment) -> Value {
    json!({ "others": deployment.sessions(1).await })
}

#[rstest]
#[tokio::test]
async fn a_key_is_shown_once_and_then_gone(#[values(Production, Embedded)] kind: Kind) {
    let deployment = Deployment::start(kind).await;
    drive("a_key_is_shown_once_and_then_gone", &deployment, json!({})).await;
}

#[rstest]
#[tokio::test]
async fn provisioning_is_seen_live_through_an_outage(#[values(Production, Embedded)] kind: Kind) {
    let deployment = Deployment::start(kind).await;
    let more = others(&deployment).await;
    drive(
        "provisioning_is_seen_live_through_an_outage",
        &deployment,
        more,
    )
    .await;
}

/// The api knows no login unless it is configured, so the page says what to do.
/// `standalone` has the demo sign-in.
#[rstest]
#[tokio::test]
async fn an_ended_session_leads_to_the_login(#[values(Production, Embedded)] kind: Kind) {
    let deployment = Deployment::start(kind).await;
    let login = (kind == Embedded).then_some("/demo/sign-in");
    let more = json!({ "expired": deployment.expired_session().await, "login": login });
    drive("an_ended_session_leads_to_the_login", &deployment, more).await;
}

#[rstest]
#[tokio::test]
async fn a_key_is_replaced_by_keyboard_without_an_interruption(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = Deployment::start(kind).await;
    let name = "a_key_is_replaced_by_keyboard_without_an_interruption";
    drive(name, &deployment, json!({})).await;
}

#[rstest]
#[tokio::test]
async fn a_leak_is_explained(#[values(Production, Embedded)] kind: Kind) {
    let deployment = Deployment::start(kind).await;
    drive("a_leak_is_explained", &deployment, json!({})).await;
}

#[tokio::test]
async fn a_secret_is_forgotten_on_every_way_out() {
    let deployment = Deployment::start(Embedded).await;
    let more = json!({ "expired": deployment.expired_session().await });
    drive("a_secret_is_forgotten_on_every_way_out", &deployment, more).await;
}

#[tokio::test]
async fn an_older_answer_changes_nothing() {
    let deployment = Deployment::start(Embedded).await;
    let more = json!({ "expired": deployment.expired_session().await });
    drive("an_older_answer_changes_nothing", &deployment, more).await;
}

#[tokio::test]
async fn a_page_that_is_hidden_for_a_moment_goes_on_asking() {
    let deployment = Deployment::start(Embedded).await;
    let case = "a_page_that_is_hidden_for_a_moment_goes_on_asking";
    drive(case, &deployment, json!({})).await;
}

#[tokio::test]
async fn a_double_click_makes_one_key() {
    let deployment = Deployment::start(Production).await;
    drive("a_double_click_makes_one_key", &deployment, json!({})).await;
}

#[tokio::test]
async fn two_tabs_do_not_disturb_each_other() {
    let deployment = Deployment::start(Production).await;
    drive("two_tabs_do_not_disturb_each_other", &deployment, json!({})).await;
}

#[tokio::test]
async fn a_broken_connection_is_shown_and_recovers() {
    let deployment = Deployment::start(Embedded).await;
    let more = others(&deployment).await;
    drive(
        "a_broken_connection_is_shown_and_recovers",
        &deployment,
        more,
    )
    .await;
}

#[tokio::test]
async fn a_requested_pause_is_shown_and_kept() {
    let deployment = Deployment::start(Embedded).await;
    let case = "a_requested_pause_is_shown_and_kept";
    drive(case, &deployment, json!({})).await;
}

#[tokio::test]
async fn the_keyboard_alone_is_enough() {
    let deployment = Deployment::start(Embedded).await;
    drive("the_keyboard_alone_is_enough", &deployment, json!({})).await;
}

#[tokio::test]
async fn only_allowed_sites_can_frame_the_page() {
    let port = free_port();
    let [allowed, refused] =
        ["platform", "elsewhere"].map(|n| format!("http://{n}.localhost:{port}"));
    let deployment = Deployment::embedded(&[("ALLOWED_ORIGINS", allowed.clone())]).await;
    let told = json!({ "port": port, "allowed": allowed, "refused": refused });
    drive("only_allowed_sites_can_frame_the_page", &deployment, told).await;
}

/// A newcomer starts it without any setting and opens the first link.
#[tokio::test]
async fn a_click_signs_in_to_the_demo() {
    let dir = scratch();
    let data = dir.path().join("data");
    let args = ["--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()];
    let mut standalone = Process::start(dir.path(), "standalone", &args, &[]);
    let base = standalone.url().await;
    let banner = standalone.output();
    let mut words = banner.split_whitespace();
    let link = words.find(|word| word.starts_with("http")).unwrap();
    let told = json!({ "base": base, "link": link });
    run("a_click_signs_in_to_the_demo", told).await;
}

async fn get(url: &str, headers: HeaderMap) -> Response {
    send(Method::GET, url, headers).await
}

async fn send(method: Method, url: &str, headers: HeaderMap) -> Response {
    let http = Http::builder()
        .no_proxy()
        .redirect(redirect::Policy::none());
    let request = http.build().unwrap().request(method, url);
    request.headers(headers).send().await.unwrap()
}

#[tokio::test]
async fn only_standalone_has_the_demo_sign_in_and_only_for_this_machine() {
    let embedded = Deployment::start(Embedded).await;
    let sign_in = format!("{}/demo/sign-in", embedded.client.base());
    let page = get(&sign_in, HeaderMap::new()).await;
    assert_eq!(page.status(), 200);
    assert!(
        !page.headers().contains_key("set-cookie"),
        "a GET signs nobody in"
    );
    let here = send(Method::POST, &sign_in, HeaderMap::new()).await;
    assert_eq!(here.status(), 303);
    assert_eq!(here.headers()["location"], "/dashboard");
    let cookie = here.headers()["set-cookie"].to_str().unwrap();
    let attributes = "; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax";
    assert!(cookie.ends_with(attributes), "{cookie}");
    let other = send(Method::DELETE, &sign_in, HeaderMap::new()).await;
    assert_eq!(other.status(), 405);
    assert_eq!(other.headers()["allow"], "GET, HEAD, POST");

    // A foreign host name that resolves to this machine (DNS rebinding), another site's
    // form, and proxies on this machine.
    for (name, value) in [
        ("host", "evil.example"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("x-forwarded-for", "192.0.2.1"),
        ("forwarded", "for=192.0.2.1"),
        ("x-real-ip", "192.0.2.1"),
        ("via", "1.1 proxy"),
    ] {
        for method in [Method::GET, Method::POST] {
            let header = (HeaderName::from_static(name), value.parse().unwrap());
            let refused = send(method, &sign_in, HeaderMap::from_iter([header])).await;
            assert_eq!(refused.status(), 403, "{name}: {value}");
            assert!(!refused.headers().contains_key("set-cookie"));
        }
    }

    // With a real Svix it is there only if it was asked for.
    let real = Deployment::embedded(&[("DEMO", String::new())]).await;
    for deployment in [real, Deployment::production(0).await] {
        let sign_in = format!("{}/demo/sign-in", deployment.client.base());
        for method in [Method::GET, Method::POST] {
            assert_eq!(send(method, &sign_in, HeaderMap::new()).await.status(), 404);
        }
    }
}

#[tokio::test]
async fn the_page_has_a_strict_policy_and_names_the_login() {
    let env = [
        ("LOGIN_URL", "https://id.example.com/in?a=1&b=2".to_owned()),
        ("ALLOWED_ORIGINS", "https://app.example.com".to_owned()),
    ];
    let deployment = Deployment::embedded(&env).await;
    let base = deployment.client.base();
    let page = get(&format!("{base}/dashboard"), HeaderMap::new()).await;
    let header = |name: &str| page.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(
        header("content-security-policy"),
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
         img-src 'self'; base-uri 'none'; form-action 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'; \
         frame-ancestors 'self' https://app.example.com"
    );
    assert_eq!(header("content-type"), "text/html; charset=utf-8");
    assert_eq!(header("referrer-policy"), "no-referrer");
    assert_eq!(header("x-content-type-options"), "nosniff");
    let page = page.text().await.unwrap();
    assert!(page.contains(r#"content="https://id.example.com/in?a=1&amp;b=2""#));
    for inline in ["<style", "style=", "onclick", "<script>", "http://"] {
        assert!(!page.contains(inline), "{inline}");
    }
    let files = page
        .split('"')
        .filter(|text| text.starts_with("dashboard/"));
    for file in files {
        let answer = get(&format!("{base}/{file}"), HeaderMap::new()).await;
        assert_eq!(answer.status(), 200, "{file}");
    }
}
