//! Responses without faults.

use std::sync::Arc;

use svix::models::{AppPortalAccessIn, ApplicationIn, ApplicationTokenExpireIn};
use tokio::task::JoinSet;

use super::{client, error_of, get_or_create, invalid_field, start};
use crate::{Pattern, Route};

#[tokio::test]
async fn an_application_is_created_once_and_can_be_read_by_id_and_by_uid() {
    let simulator = start().await;
    let svix = client(&simulator);
    let application = ApplicationIn {
        uid: Some("acct_1".to_owned()),
        metadata: Some([("plan".to_owned(), "gold".to_owned())].into()),
        ..ApplicationIn::new("Acme".to_owned())
    };
    let created = svix.application().create(application.clone(), None).await;
    let created = created.unwrap();
    assert!(created.id.starts_with("app_") && created.id.len() == 31);
    assert_eq!(created.metadata["plan"], "gold");
    assert_eq!(
        error_of(svix.application().create(application, None).await),
        (409, "conflict".to_owned())
    );
    assert_eq!(get_or_create(&svix, "acct_1").await.unwrap(), created);
    for name in ["acct_1", &created.id] {
        let read = svix.application().get(name.to_owned()).await.unwrap();
        assert_eq!(read, created);
    }
    assert_eq!(
        error_of(svix.application().get("acct_2".to_owned()).await),
        (404, "not_found".to_owned())
    );
    assert_eq!(simulator.calls(Route::Create), 3);
    assert_eq!(simulator.calls(Pattern::get().uid("acct_1")), 2);
    assert_eq!(simulator.calls(Pattern::any().uid("acct_2")), 1);
    assert_eq!(simulator.calls(Pattern::any()), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_concurrent_creations_create_one_application() {
    let simulator = start().await;
    let svix = Arc::new(client(&simulator));
    let mut calls = JoinSet::new();
    for _ in 0..50 {
        let svix = svix.clone();
        calls.spawn(async move { get_or_create(&svix, "acct_1").await.unwrap().id });
    }
    let mut ids = calls.join_all().await;
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(simulator.applications().len(), 1);
    assert_eq!(simulator.applications()[0].id, ids[0]);
    assert_eq!(simulator.calls(Route::Create), 50);
}

#[tokio::test]
async fn invalid_uids_and_names_are_refused() {
    let simulator = start().await;
    let svix = client(&simulator);
    for uid in ["auth0|123", "me@example.com", "", "app_1", &"x".repeat(257)] {
        assert_eq!(invalid_field(get_or_create(&svix, uid).await), "body.uid");
    }
    let nameless = ApplicationIn::new(String::new());
    let refused = svix.application().create(nameless, None).await;
    assert_eq!(invalid_field(refused), "body.name");
    assert_eq!(simulator.applications(), []);
    get_or_create(&svix, &"x".repeat(256)).await.unwrap();
    get_or_create(&svix, "A-z_0.9").await.unwrap();
}

#[tokio::test]
async fn a_body_without_a_name_or_without_json_is_refused_in_the_format_of_svix() {
    let simulator = start().await;
    for body in [r#"{"uid": "acct_1"}"#, "{", ""] {
        let answer = reqwest::Client::new()
            .post(format!(
                "{}/api/v1/app/?get_if_exists=true",
                simulator.url()
            ))
            .bearer_auth("any")
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), 422);
        let body: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(body["detail"][0]["type"], "value_error");
    }
}

#[tokio::test]
async fn paths_may_end_with_a_slash_and_unknown_paths_get_404() {
    let simulator = start().await;
    get_or_create(&client(&simulator), "acct_1").await.unwrap();
    let status = async |path: &str| {
        let url = format!("{}{path}", simulator.url());
        let request = reqwest::Client::new().get(url).bearer_auth("any");
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(status("/api/v1/app/acct_1").await, 200);
    assert_eq!(status("/api/v1/app/acct_1/").await, 200);
    assert_eq!(status("/api/v1/nothing").await, 404);
    assert_eq!(simulator.calls(Route::Get), 2);
}

#[tokio::test]
async fn a_token_is_required_and_can_be_changed_while_running() {
    let simulator = start().await;
    let svix = client(&simulator);
    let denied = (401, "authentication_failed".to_owned());
    let without_token = svix.with_token(String::new());
    assert_eq!(
        error_of(get_or_create(&without_token, "acct_1").await),
        denied
    );
    simulator.set_token(Some("another token"));
    assert_eq!(error_of(get_or_create(&svix, "acct_1").await), denied);
    simulator.set_token(Some("testsk_any"));
    get_or_create(&svix, "acct_1").await.unwrap();
    simulator.set_token(None);
    get_or_create(&svix.with_token("other".to_owned()), "acct_1")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_portal_link_opens_the_page_and_expire_all_ends_its_session() {
    let simulator = start().await;
    let svix = client(&simulator);
    let portal = async |application: &str, expiry, session: &str| {
        let input = AppPortalAccessIn {
            expiry,
            session_id: Some(session.to_owned()),
            ..AppPortalAccessIn::new()
        };
        let application = application.to_owned();
        svix.authentication()
            .app_portal_access(application, input, None)
            .await
    };
    let unknown = portal("acct_1", None, "key_1").await;
    assert_eq!(error_of(unknown), (404, "not_found".to_owned()));

    let application = get_or_create(&svix, "acct_1").await.unwrap();
    for seconds in [3599, 604_801] {
        let refused = portal("acct_1", Some(seconds), "key_1").await;
        assert_eq!(invalid_field(refused), "body.expiry");
    }
    let link = portal("acct_1", Some(3600), "key_1").await.unwrap();
    assert_eq!(
        link.url,
        format!("{}/login#key={}", simulator.url(), link.token)
    );
    portal(&application.id, None, "key_2").await.unwrap();

    let page = reqwest::get(&link.url).await.unwrap();
    assert_eq!(page.status().as_u16(), 200);
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'"));
    let page = page.text().await.unwrap();
    assert!(page.contains("SVIX_TOKEN") && page.contains("href=\"/login/style.css\""));
    let style = format!("{}/login/style.css", simulator.url());
    assert_eq!(reqwest::get(style).await.unwrap().status().as_u16(), 200);

    let expire = ApplicationTokenExpireIn {
        expiry: None,
        session_ids: Some(vec!["key_1".to_owned()]),
    };
    svix.authentication()
        .expire_all("acct_1".to_owned(), expire, None)
        .await
        .unwrap();
    assert_eq!(simulator.expired_sessions(), ["key_1"]);
    let sessions = simulator.portal_sessions();
    let summary = sessions.iter().map(|session| {
        (
            session.session_id.as_deref().unwrap(),
            session.expiry,
            session.ended,
        )
    });
    assert_eq!(
        summary.collect::<Vec<_>>(),
        [("key_1", 3600, true), ("key_2", 604_800, false)]
    );
    assert!(
        sessions
            .iter()
            .all(|session| session.application == application.id)
    );
}
