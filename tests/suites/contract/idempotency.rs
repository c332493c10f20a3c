//! The header `Idempotency-Key`: a creation whose response was lost can be repeated.

use reqwest::Method;
use reqwest::header::HeaderValue;
use rstest::rstest;
use tests::Kind::{self, Embedded, Production};
use tests::client::KEY_PATH;
use tests::{Answer, Deployment};
use tokio::task::JoinSet;

/// Sends a creation with these values of the header.
async fn create_with(deployment: &Deployment, session: &str, values: &[&[u8]]) -> Answer {
    let send = |request: reqwest::RequestBuilder| {
        let values = values.iter().map(|value| HeaderValue::from_bytes(value));
        values.fold(request.bearer_auth(session), |request, value| {
            request.header("Idempotency-Key", value.unwrap())
        })
    };
    deployment.client.send(Method::POST, KEY_PATH, send).await
}

/// Checks that the answer says which key the request has created before.
fn is_repetition<'a>(answer: &'a Answer, created: &Answer) -> &'a serde_json::Value {
    answer.is_error(409, "conflict");
    let earlier = &answer.body["error"]["created"];
    let prefix = created.text("prefix");
    assert_eq!(earlier["prefix"], prefix, "{answer:?}");
    let message = answer.body["error"]["message"].as_str().unwrap();
    assert!(message.contains(&prefix), "{answer:?}");
    earlier
}

#[rstest]
#[tokio::test]
async fn a_repeated_creation_is_told_which_key_it_made_also_if_that_was_revoked(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = Deployment::start(kind).await;
    let (client, session) = (&deployment.client, deployment.session().await);
    let longest = "~".repeat(255);
    let created = client.create_once(&session, &longest).await;
    assert_eq!(created.status, 201);

    let repeated = client.create_once(&session, &longest).await;
    let earlier = is_repetition(&repeated, &created);
    let shown = client.show(&session).await;
    assert_eq!(earlier["created_at"], shown.body["created_at"]);
    assert_eq!(earlier.get("revoked_at"), None);
    for other in [
        client.create(&session).await,
        client.create_once(&session, "other").await,
    ] {
        other.is_error(409, "conflict");
        assert_eq!(other.body["error"].get("created"), None, "{other:?}");
    }

    assert_eq!(client.revoke(&session).await.status, 200);
    let repeated = client.create_once(&session, &longest).await;
    let earlier = is_repetition(&repeated, &created);
    assert!(earlier["revoked_at"].is_string(), "{repeated:?}");
    let shown = client.show(&session).await;
    assert_eq!(shown.body["has_key"], false, "no second key was created");

    // The request that was refused above was not remembered.
    assert_eq!(client.create_once(&session, "other").await.status, 201);
    let stranger = deployment.session().await;
    assert_eq!(client.create_once(&stranger, &longest).await.status, 201);
}

#[rstest]
#[tokio::test]
async fn of_repetitions_at_the_same_time_one_is_answered_with_the_key(
    #[values(Production, Embedded)] kind: Kind,
) {
    let mut deployment = Deployment::start(kind).await;
    if kind == Production {
        deployment.add_api().await;
    }
    let session = deployment.session().await;
    let requests: JoinSet<Answer> = deployment
        .crowd(50)
        .map(|client| {
            let session = session.clone();
            async move { client.create_once(&session, "one").await }
        })
        .collect();
    let answers = requests.join_all().await;
    let (created, repeated): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.status == 201);
    assert_eq!((created.len(), repeated.len()), (1, 49));
    for answer in repeated {
        is_repetition(answer, created[0]);
    }
}

#[tokio::test]
async fn an_invalid_idempotency_key_is_an_error_and_creates_nothing() {
    let deployment = Deployment::start(Embedded).await;
    let session = deployment.session().await;
    let too_long = [b'a'; 256];
    let invalid: [&[&[u8]]; 6] = [
        &[b""],
        &[b"two words"],
        &["ä".as_bytes()],
        &[&[0xff]],
        &[&too_long],
        &[b"same", b"same"],
    ];
    for values in invalid {
        let answer = create_with(&deployment, &session, values).await;
        answer.is_error(400, "bad_request");
        let message = answer.body["error"]["message"].as_str().unwrap();
        assert!(message.contains("Idempotency-Key"), "{answer:?}");
    }
    let shown = deployment.client.show(&session).await;
    assert_eq!(shown.body["has_key"], false);
    // Who may not create a key at all is told so first.
    let stranger = create_with(&deployment, "unknown", &[b""]).await;
    stranger.is_error(401, "unauthorized");
}
