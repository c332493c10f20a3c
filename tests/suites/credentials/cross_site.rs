//! What changes something with the session cookie must come from our own pages.

use reqwest::Method;
use rstest::rstest;
use tests::Kind::{self, Embedded, Production};
use tests::client::KEY_PATH;
use tests::{Client, Deployment, Plan};

use super::send;

const DASHBOARD: &str = "https://dash.example.com";

/// Creates, and then revokes, with the cookie and these headers. Each either
/// happens, or is 403 and does not.
async fn writes(client: &Client, session: &str, headers: &[(&str, &str)], passes: bool) {
    let cookie = format!("session={session}");
    let headers = [&[("cookie", &*cookie)], headers].concat();
    let has_key = async || client.show(session).await.body["has_key"] == true;

    let created = send(client, Method::POST, KEY_PATH, &headers).await;
    if passes {
        assert_eq!(created.status, 201, "{headers:?}: {created:?}");
    } else {
        created.is_error(403, "forbidden");
        assert!(!has_key().await, "{headers:?}");
        assert_eq!(client.create(session).await.status, 201);
    }

    let revoked = send(client, Method::DELETE, KEY_PATH, &headers).await;
    if passes {
        assert_eq!(revoked.status, 200, "{headers:?}: {revoked:?}");
    } else {
        revoked.is_error(403, "forbidden");
    }
    assert_eq!(has_key().await, !passes, "{headers:?}");
    assert_eq!(
        client.revoke(session).await.status,
        200,
        "as Bearer it needs neither"
    );
}

#[rstest]
#[tokio::test]
async fn reading_with_the_cookie_needs_no_word_of_where_it_comes_from(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = Deployment::start(kind).await;
    let session = deployment.session().await;
    let cookie = ("cookie", &*format!("session={session}"));
    let evil = ("origin", "https://evil.example");
    for headers in [
        &[cookie][..],
        &[cookie, ("sec-fetch-site", "cross-site")],
        &[cookie, evil],
    ] {
        for method in [Method::GET, Method::HEAD] {
            let answer = send(&deployment.client, method, KEY_PATH, headers).await;
            assert_eq!(answer.status, 200, "{headers:?}");
        }
    }
}

#[rstest]
#[tokio::test]
async fn writing_with_the_cookie_passes_only_from_our_own_pages(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = Deployment::start(kind).await;
    let client = &deployment.client;
    let session = deployment.session().await;
    let ours = client.base().to_owned();
    let host = ours.strip_prefix("http://").unwrap();
    let (ip, port) = host.split_once(':').unwrap();
    let port: u16 = port.parse().unwrap();
    let origins = [
        (ours.clone(), true),
        (format!("https://{host}"), true), // TLS may end at a proxy before us
        (ours.to_uppercase(), true),
        (format!("http://{ip}"), false),
        (format!("http://{ip}:{}", port ^ 1), false),
        (format!("http://localhost:{port}"), false),
        (format!("{ours}.evil.example"), false),
        (format!("http://evil.example#{host}"), false),
        (format!("ftp://{host}"), false),
        (host.to_owned(), false),
        ("null".into(), false),
        (String::new(), false),
        (DASHBOARD.into(), false), // not in ALLOWED_ORIGINS here
    ];
    for (origin, passes) in &origins {
        writes(client, &session, &[("origin", origin)], *passes).await;
    }

    let sites = [
        ("same-origin", true),
        ("none", true),
        ("same-site", false),
        ("cross-site", false),
        ("Same-Origin", false),
        ("", false),
    ];
    for (site, passes) in sites {
        let evil = ("origin", "https://evil.example");
        writes(client, &session, &[("sec-fetch-site", site)], passes).await;
        writes(client, &session, &[("sec-fetch-site", site), evil], passes).await;
        // Our own host over plain HTTP is cross-site, and anybody on the way can answer for it.
        let own = [("sec-fetch-site", site), ("origin", &*ours)];
        writes(client, &session, &own, passes).await;
    }
    writes(client, &session, &[], false).await;
    writes(client, &session, &[("referer", &format!("{ours}/"))], false).await;
}

#[tokio::test]
async fn allowed_origins_may_write_and_their_likes_may_not() {
    let allowed = format!("{DASHBOARD}, HTTP://Localhost:3000/");
    let env = vec![("ALLOWED_ORIGINS", allowed)];
    let deployment = Deployment::planned(Plan {
        env,
        ..Plan::default()
    })
    .await;
    let session = deployment.session().await;
    let origins = [
        (DASHBOARD, true),
        ("http://localhost:3000", true),
        ("http://localhost", false),
        ("https://localhost:3000", false),
        ("http://dash.example.com", false),
        ("https://dash.example.com:8443", false),
        ("https://dash.example.com.evil.example", false),
        ("https://evil.example,https://dash.example.com", false),
        ("https://example.com", false),
    ];
    for (origin, passes) in origins {
        writes(&deployment.client, &session, &[("origin", origin)], passes).await;
        let site = ("sec-fetch-site", "cross-site");
        writes(
            &deployment.client,
            &session,
            &[("origin", origin), site],
            passes,
        )
        .await;
    }
}
