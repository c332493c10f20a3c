//! The end of an overlap, at every process and at every check.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use rstest::rstest;
use serde_json::{Value, json};
use shared::clock::Timestamp;
use tests::Kind::{self, Embedded, Production};
use tests::process::free_port;
use tests::{Answer, Client, Deployment, Plan, Process, Role, eventually};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{SOON, new_key, now, ready_key, time};

const TOKEN: &str = "internal_token_of_the_suite_rotation";

/// A check of a key, with the result that it works.
struct Check {
    name: String,
    client: Client,
    kind: Kinds,
}

#[derive(Clone, Copy)]
enum Kinds {
    Portal,
    Introspect,
    IntrospectMany,
    ForwardAuth,
}

impl Check {
    /// Returns whether the key works.
    async fn works(&self, key: &str) -> bool {
        let internal = "/internal/v1/keys";
        let bearer = |request: RequestBuilder| request.bearer_auth(TOKEN);
        let is_active = |answer: &Value| answer["active"].as_bool().unwrap();
        match self.kind {
            Kinds::Portal => accepted(&self.client.portal(key).await),
            Kinds::ForwardAuth => {
                let path = "/internal/v1/forward-auth";
                let value = format!("Bearer {key}");
                let get = self.client.authorized(Method::GET, path, value.as_bytes());
                accepted(&get.await)
            }
            Kinds::Introspect => {
                let path = format!("{internal}/introspect");
                let send = |request| {
                    let request = bearer(request).body(format!("token={key}"));
                    request.header("content-type", "application/x-www-form-urlencoded")
                };
                let answer = self.client.send(Method::POST, &path, send).await;
                is_active(&answer.body)
            }
            Kinds::IntrospectMany => {
                let path = format!("{internal}/introspect-many");
                let body = json!({ "tokens": ["nonsense", key] });
                let send = |request| bearer(request).json(&body);
                let answer = self.client.send(Method::POST, &path, send).await;
                is_active(&answer.body["keys"][1])
            }
        }
    }
}

fn accepted(answer: &Answer) -> bool {
    match answer.status.as_u16() {
        200 => true,
        401 => false,
        _ => panic!("{answer:?}"),
    }
}

/// Starts two apis, of which one has an internal listener. Returns all checks of both.
async fn deployment() -> (Deployment, Process, Vec<Check>) {
    let address = format!("127.0.0.1:{}", free_port());
    let mut deployment = Deployment::planned(Plan {
        env: vec![
            ("INTERNAL_ADDR", address.clone()),
            ("INTERNAL_TOKEN", TOKEN.to_owned()),
            ("ROTATION_OVERLAP", "2s".to_owned()),
        ],
        workers: 1,
        ..Plan::default()
    })
    .await;
    let mut env = deployment.env_for(Role::Api);
    env.retain(|(name, _)| !name.starts_with("INTERNAL_"));
    let args = ["--listen", "127.0.0.1:0"];
    let mut other = Process::start(deployment.dir(), "api", &args, &env);
    let second = Client::new(&other.url().await).await;
    let internal = Client::new(&format!("http://{address}")).await;
    let first = deployment.client.clone();
    // The rotation is started at the second process, which has no internal listener.
    deployment.client = second.clone();
    let checks = [
        ("the first api", first, Kinds::Portal),
        ("the second api", second, Kinds::Portal),
        ("introspection", internal.clone(), Kinds::Introspect),
        (
            "many introspections",
            internal.clone(),
            Kinds::IntrospectMany,
        ),
        ("forward auth", internal, Kinds::ForwardAuth),
    ];
    let checks = checks.map(|(name, client, kind)| Check {
        name: name.to_owned(),
        client,
        kind,
    });
    (deployment, other, checks.into())
}

/// Uses a key until a request that began after `end`, and checks each answer. Returns the
/// number of requests before and after the end.
async fn use_around(check: Check, key: String, end: Timestamp) -> (usize, usize) {
    let (mut before, mut after) = (0, 0);
    while after < 3 {
        let began = now();
        let works = check.works(&key).await;
        if began >= end {
            assert!(!works, "{}: accepted after the end", check.name);
            after += 1;
        } else if now() < end {
            assert!(works, "{}: refused before the end", check.name);
            before += 1;
        }
    }
    (before, after)
}

#[tokio::test]
async fn at_its_end_the_previous_key_is_refused_by_every_process_and_check() {
    let (deployment, _other, checks) = deployment().await;
    let (session, old) = ready_key(&deployment).await;
    // No job has to run for it.
    let worker = deployment.in_production().workers.first().unwrap();
    assert_eq!(deployment.client.portal(&old).await.status, 200);
    let of_old = deployment.svix.portal_sessions()[0].session_id.clone();
    worker.signal("STOP");
    let started = deployment.client.start_rotation(&session, None).await;
    let new = new_key(&started);
    let end = time(started.body["previous"]["expires_at"].as_str().unwrap());
    let mut uses = JoinSet::new();
    for check in checks {
        assert!(check.works(&new).await, "{}", check.name);
        uses.spawn(use_around(check, old.clone(), end));
    }
    for (before, _) in uses.join_all().await {
        assert!(before > 0, "the overlap is too short for this machine");
    }
    let shown = deployment.client.show(&session).await;
    assert!(shown.body.get("rotation").is_none(), "{shown:?}");
    let late = deployment.client.cancel_rotation(&session).await;
    late.is_error(409, "conflict");

    // The portal sessions of the key end with it, as soon as a worker can.
    let ended = || async { deployment.svix.portal_sessions() };
    assert!(ended().await.iter().all(|session| !session.ended));
    worker.signal("CONT");
    eventually("the portal sessions end", SOON, ended, |sessions| {
        let mut old = sessions.iter().filter(|it| it.session_id == of_old);
        old.all(|session| session.ended)
    })
    .await;
    let sessions = ended().await;
    let others = sessions.iter().filter(|it| it.session_id != of_old);
    assert!(others.clone().count() > 0);
    for session in others {
        assert!(!session.ended, "a session of the new key: {session:?}");
    }
    assert_eq!(
        deployment
            .client
            .start_rotation(&session, None)
            .await
            .status,
        201
    );
}

#[rstest]
#[tokio::test]
async fn one_of_fifty_concurrent_starts_succeeds(#[values(Production, Embedded)] kind: Kind) {
    let mut deployment = Deployment::start(kind).await;
    if kind == Production {
        deployment.add_api().await;
    }
    let (session, old) = ready_key(&deployment).await;
    let (start, started) = watch::channel(false);
    let rotate = |client: Client| {
        let (session, mut started) = (session.clone(), started.clone());
        async move {
            started.wait_for(|started| *started).await.unwrap();
            // They take turns. One whose turn does not come in time is told to ask again.
            let start = || client.start_rotation(&session, Some(600));
            let is_served = |answer: &Answer| answer.status != 503;
            eventually("its turn comes", SOON, start, is_served).await
        }
    };
    let starts: JoinSet<Answer> = deployment.crowd(50).map(rotate).collect();
    start.send_replace(true);
    let answers = starts.join_all().await;
    let (started, refused): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.status == 201);
    assert_eq!((started.len(), refused.len()), (1, 49));
    for refused in refused {
        refused.is_error(409, "conflict");
    }
    for client in deployment.clients() {
        for key in [&old, &new_key(started[0])] {
            assert_eq!(client.portal(key).await.status, 200);
        }
    }
}

/// The clocks of two processes may differ. Each goes by its own, and what somebody has
/// asked for is the same by both.
#[tokio::test]
async fn a_clock_that_is_behind_accepts_no_third_key() {
    let deployment = Deployment::start(Embedded).await;
    let (session, first) = ready_key(&deployment).await;
    let client = &deployment.client;
    let started = client.start_rotation(&session, Some(1)).await;
    let second = new_key(&started);
    let again = || async { client.start_rotation(&session, Some(600)).await };
    let third = eventually("the overlap ends", SOON, again, |answer| {
        answer.status == 201
    })
    .await;
    let third = new_key(&third);
    let behind = now() - Duration::from_secs(30);
    for (key, works) in [(first, false), (second, true), (third, true)] {
        let hash = shared::secret_hash::SecretHash::of(key.as_bytes());
        let found = deployment.store.key_by_hash(&hash, behind).await.unwrap();
        assert_eq!(found.is_some(), works);
    }
}
