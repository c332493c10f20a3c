//! Sessions: how they come, how they end, and which of two counts.

use std::time::Duration;

use reqwest::Method;
use rstest::rstest;
use shared::clock::{Clock, Timestamp};
use shared::ids::AccountId;
use shared::session::SessionToken;
use tests::Kind::{self, Embedded, Production};
use tests::client::{KEY_PATH, OPERATIONS};
use tests::{Deployment, Plan};

use super::{OWN_PAGE, by_cookie, is_unauthorized, send};

/// Whether this session signs in, in either way, to each of the operations that take one.
async fn signs_in(deployment: &Deployment, token: &str) -> bool {
    let client = &deployment.client;
    let (bearer, cookie) = (format!("Bearer {token}"), format!("session={token}"));
    let mut signed_in = Vec::new();
    for (method, path) in &OPERATIONS[..6] {
        for credential in [("authorization", &*bearer), ("cookie", &*cookie)] {
            let answer = send(client, method.clone(), path, &[credential, OWN_PAGE]).await;
            signed_in.push(answer.status != 401);
            if answer.status == 401 {
                is_unauthorized(&answer);
            }
        }
    }
    let all = signed_in.iter().all(|signed_in| *signed_in);
    assert!(all || !signed_in.contains(&true), "{signed_in:?}");
    all
}

async fn session_until(deployment: &Deployment, account: &str, expires: Timestamp) -> String {
    let token = SessionToken::generate().unwrap();
    let (hash, account) = (token.hash(), AccountId::parse(account).unwrap());
    let begun = expires - Duration::from_hours(1);
    let stored = deployment
        .store
        .insert_session(&hash, &account, begun, expires);
    stored.await.unwrap();
    token.expose().to_owned()
}

#[rstest]
#[tokio::test]
async fn a_session_ends_when_it_expires_and_when_it_is_revoked(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = Deployment::start(kind).await;
    let now = Clock::system().now();
    let minute = Duration::from_mins(1);
    let table = [(now - minute, false), (now, false), (now + minute, true)];
    for (expires, valid) in table {
        let session = session_until(&deployment, "jo", expires).await;
        assert_eq!(signs_in(&deployment, &session).await, valid, "{expires}");
    }

    let (mine, other) = (
        deployment.session_of("mine").await,
        deployment.session_of("other").await,
    );
    assert!(signs_in(&deployment, &mine).await);
    let revoke = "UPDATE sessions SET revoked_at = created_at WHERE account_id = $1";
    deployment.execute(revoke, "mine").await;
    assert!(!signs_in(&deployment, &mine).await);
    assert!(signs_in(&deployment, &other).await);

    let unknown = SessionToken::generate().unwrap();
    assert!(!signs_in(&deployment, unknown.expose()).await);
}

#[rstest]
#[tokio::test]
async fn the_bearer_counts_and_the_cookie_beside_it_is_ignored(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = Deployment::start(kind).await;
    let client = &deployment.client;
    let (one, two) = (deployment.session().await, deployment.session().await);
    let (bearer, cookie) = (format!("Bearer {one}"), format!("session={two}"));

    // From another site even: a request with Bearer needs no word of a browser.
    let both = [
        ("authorization", &*bearer),
        ("cookie", &*cookie),
        ("sec-fetch-site", "cross-site"),
    ];
    let created = send(client, Method::POST, KEY_PATH, &both).await;
    assert_eq!(created.status, 201, "{created:?}");
    assert_eq!(client.show(&one).await.body["has_key"], true);
    assert_eq!(client.show(&two).await.body["has_key"], false);

    let own = ("cookie", &*format!("session={one}"));
    for bad in ["Bearer session_0", "Bearer", "Basic eDp5", ""] {
        let answer = send(
            client,
            Method::GET,
            KEY_PATH,
            &[("authorization", bad), own],
        )
        .await;
        is_unauthorized(&answer);
    }
    for bad in ["session=nonsense", "session=", "session"] {
        let headers = [("authorization", &*bearer), ("cookie", bad)];
        let shown = send(client, Method::GET, KEY_PATH, &headers).await;
        assert_eq!(shown.body["prefix"], created.body["prefix"], "{shown:?}");
    }
}

#[rstest]
#[tokio::test]
async fn the_cookie_is_found_among_others_and_never_when_sent_twice(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = Deployment::start(kind).await;
    let client = &deployment.client;
    let session = deployment.session().await;
    for good in [
        "session=S",
        "a=1; session=S",
        "session=S;b=2",
        "é=ü; session=S; sessions=x",
    ] {
        let answer = by_cookie(client, Method::GET, &good.replace('S', &session)).await;
        assert_eq!(answer.status, 200, "{good}: {answer:?}");
    }
    for bad in [
        "session=S; session=S",
        "session=S; session=x",
        "Session=S",
        "sessions=S",
        "S",
    ] {
        let answer = by_cookie(client, Method::GET, &bad.replace('S', &session)).await;
        is_unauthorized(&answer);
    }
    let line = ("cookie", &*format!("session={session}"));
    is_unauthorized(&send(client, Method::GET, KEY_PATH, &[line, line]).await);
}

#[tokio::test]
async fn the_cookie_has_the_configured_name_and_the_document_says_so() {
    let env = vec![("SESSION_COOKIE", "__Host-sid".to_owned())];
    let deployment = Deployment::planned(Plan {
        env,
        ..Plan::default()
    })
    .await;
    let client = &deployment.client;
    let session = deployment.session().await;
    let created = by_cookie(client, Method::POST, &format!("__Host-sid={session}")).await;
    assert_eq!(created.status, 201, "{created:?}");
    let usual = by_cookie(client, Method::GET, &format!("session={session}")).await;
    is_unauthorized(&usual);
    let cookie = &client.document()["components"]["securitySchemes"]["SessionCookie"];
    assert_eq!(cookie["name"], "__Host-sid");
}
