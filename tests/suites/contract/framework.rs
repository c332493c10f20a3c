//! What holds for every request, whatever it asks for.

use std::collections::HashSet;

use reqwest::{Method, RequestBuilder};
use rstest::rstest;
use tests::Deployment;
use tests::Kind::{self, Embedded, Production};
use tests::client::{KEY_PATH, PORTAL_PATH};

use super::ready_key;

#[rstest]
#[tokio::test]
async fn every_error_of_the_framework_has_the_one_shape(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = Deployment::start(kind).await;
    let client = &deployment.client;
    let key = HashSet::from(["POST", "GET", "DELETE", "HEAD"]);
    let read = HashSet::from(["GET", "HEAD"]);
    let table = [
        (Method::PUT, KEY_PATH, Some(&key)),
        (Method::PATCH, KEY_PATH, Some(&key)),
        (Method::OPTIONS, KEY_PATH, Some(&key)),
        (Method::POST, PORTAL_PATH, Some(&read)),
        (Method::DELETE, PORTAL_PATH, Some(&read)),
        (Method::POST, "/openapi.yaml", Some(&read)),
        (Method::DELETE, "/healthz", Some(&read)),
        (Method::POST, "/dashboard/main.js", Some(&read)),
        (Method::GET, "/", None),
        (Method::GET, "/api/v1/partners", None),
        (Method::POST, "/api/v1/partners/api-key/pk_live_0000", None),
        (Method::DELETE, "/api/v2/partners/api-key", None),
    ];
    for (method, path, allowed) in table {
        let answer = client.send(method.clone(), path, |request| request).await;
        let Some(allowed) = allowed else {
            answer.is_error(404, "not_found");
            assert!(!answer.text.contains("pk_live_"), "a path is not repeated");
            continue;
        };
        answer.is_error(405, "method_not_allowed");
        let allow = answer
            .header("allow")
            .unwrap()
            .split(", ")
            .collect::<HashSet<_>>();
        assert_eq!(&allow, allowed, "{method} {path}");
    }
}

#[rstest]
#[tokio::test]
async fn head_answers_as_get_does_without_the_body(#[values(Production, Embedded)] kind: Kind) {
    let deployment = Deployment::start(kind).await;
    let (session, key) = ready_key(&deployment).await;
    for (path, credential, status) in [
        (KEY_PATH, &*session, 200),
        (KEY_PATH, &*key, 401),
        (PORTAL_PATH, &*key, 200),
        (PORTAL_PATH, &*session, 401),
        ("/openapi.json", "", 200),
    ] {
        let send = |request: RequestBuilder| request.bearer_auth(credential);
        let answer = deployment.client.send(Method::HEAD, path, send).await;
        assert_eq!(
            (answer.status.as_u16(), &*answer.text),
            (status, ""),
            "{path}"
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401);
    }
}

#[rstest]
#[tokio::test]
async fn every_answer_names_its_request(#[values(Production, Embedded)] kind: Kind) {
    const ID: &str = "0d9f6a52-7d3c-4b8e-9a51-2f1c6e7b8d90";
    let deployment = Deployment::start(kind).await;
    let (session, key) = ready_key(&deployment).await;
    let long = "a".repeat(5000);
    let others: [&[u8]; 7] = [
        b"",
        b"1",
        key.as_bytes(),
        long.as_bytes(),
        b"\xff",
        &ID.as_bytes()[1..],
        b"{\"a\":1}",
    ];
    let paths = [
        (KEY_PATH, 200),
        (PORTAL_PATH, 401),
        ("/nowhere", 404),
        ("/healthz", 200),
    ];
    for (path, status) in paths {
        let named = |id: Vec<u8>| {
            let request = |request: RequestBuilder| request.bearer_auth(&session);
            let send = move |given: RequestBuilder| request(given).header("x-request-id", id);
            deployment.client.send(Method::GET, path, send)
        };
        for same in [ID.to_owned(), ID.to_uppercase()] {
            let answer = named(same.into_bytes()).await;
            assert_eq!(answer.status, status);
            assert_eq!(answer.header("x-request-id"), Some(ID));
        }
        let mut fresh = HashSet::from([ID.to_owned()]);
        for other in others {
            let answer = named(other.to_vec()).await;
            let id = answer.header("x-request-id").unwrap().to_owned();
            assert!(uuid::Uuid::try_parse(&id).is_ok(), "{id}");
            assert!(fresh.insert(id), "an id is used twice");
        }
    }
}
