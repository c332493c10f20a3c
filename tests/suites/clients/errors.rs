//! Every error that the document names, as each client's types have it.

use std::time::Instant;

use serde_json::json;
use svix_simulator::{Fault, Pattern};
use tests::{As, Deployment, GeneratedClient, Passing, Relay, eventually};

use super::{SOON, assert_same_key};

/// What the api asks of those who come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RetryAfter {
    Said,
    Unsaid,
}
use RetryAfter::{Said, Unsaid};

/// A client of the api, with a relay between that knows what was answered.
struct Pair {
    client: GeneratedClient,
    relay: Relay,
}

/// What takes a session.
const WITH_SESSION: [&str; 3] = ["create", "show", "revoke"];

impl Pair {
    /// Checks that each of these operations is an error, and what the client makes
    /// of it just what it was answered.
    async fn refused(
        &mut self,
        operations: &[&str],
        by: As<'_>,
        (status, code): (u16, &str),
        retry_after: RetryAfter,
    ) {
        for operation in operations {
            let answer = self.client.ask(operation, by).await;
            let said = self.relay.said();
            assert_eq!(said.status, status, "{operation}: {said:?}");
            let is_said = said.retry_after.is_some();
            assert_eq!(is_said, retry_after == Said, "{operation}: {said:?}");
            let detail = &said.body["error"];
            assert_eq!(detail["code"], code, "{operation}: {said:?}");
            let expected = json!({"error": {
                "status": status,
                "code": code,
                "message": detail["message"],
                "request_id": detail["request_id"],
                "retry_after": said.retry_after,
            }});
            assert_eq!(answer, expected, "{operation}");
        }
    }
}

pub async fn each_error_is_typed(name: &'static str) {
    let deployment = Deployment::production(1).await;
    let relay = Relay::start(deployment.client.base()).await;
    let client = GeneratedClient::start(name, relay.url());
    let mut pair = Pair { client, relay };

    nobody_is_let_in(&mut pair, &deployment).await;
    the_request_is_refused(&mut pair, &deployment).await;
    the_webhooks_are_not_there(&mut pair, &deployment).await;
    svix_fails(&mut pair, &deployment).await;
    the_database_fails(&mut pair, &deployment).await;
    pair.client.finish().await;
}

/// 401 and 403.
async fn nobody_is_let_in(pair: &mut Pair, deployment: &Deployment) {
    let stranger = As::Bearer("of-nobody");
    let session = deployment.session().await;
    let unauthorized = (401, "unauthorized");
    pair.refused(&WITH_SESSION, stranger, unauthorized, Unsaid)
        .await;
    pair.refused(&["portal"], As::Bearer(&session), unauthorized, Unsaid)
        .await;

    let cookie = As::Cookie(&session);
    pair.refused(&["create", "revoke"], cookie, (403, "forbidden"), Unsaid)
        .await;
    assert!(pair.client.show(cookie).await["no_key"].is_object());
}

/// 400, 409 and 413. No client sends a body, so something in between does.
async fn the_request_is_refused(pair: &mut Pair, deployment: &Deployment) {
    let token = deployment.session().await;
    let session = As::Bearer(&token);
    let broken = Passing::With {
        headers: "Transfer-Encoding: chunked\r\n",
        body: b"no length\r\n".to_vec(),
    };
    let large = Passing::With {
        headers: "Content-Length: 100000\r\n",
        body: vec![b'x'; 100_000],
    };
    let (malformed, too_large) = ((400, "bad_request"), (413, "payload_too_large"));
    for (passing, error) in [(broken, malformed), (large, too_large)] {
        pair.relay.passes(passing);
        pair.refused(&WITH_SESSION, session, error, Unsaid).await;
        pair.refused(&["portal"], session, error, Unsaid).await;
    }
    pair.relay.passes(Passing::Unchanged);

    pair.client.mint(session).await;
    pair.refused(&["create"], session, (409, "conflict"), Unsaid)
        .await;
}

/// 404, before and after it is given up.
async fn the_webhooks_are_not_there(pair: &mut Pair, deployment: &Deployment) {
    for (fault, retry_after) in [(503, Said), (422, Unsaid)] {
        let fault = Fault::Status(fault);
        deployment
            .svix
            .fault(Pattern::create(), fault)
            .until_cleared();
        let token = deployment.session().await;
        let key = pair.client.mint(As::Bearer(&token)).await;
        let wanted = if retry_after == Said {
            "setting_up"
        } else {
            "needs_attention"
        };
        let shown = || async { deployment.client.show(&token).await.body };
        eventually(wanted, SOON, shown, |shown| {
            let tried = shown["webhook"]["attempts"].as_u64() >= Some(1);
            tried && shown["webhook"]["state"] == wanted
        })
        .await;
        the_key_is_understood(pair, &token, retry_after).await;
        let not_found = (404, "not_found");
        pair.refused(&["portal"], As::Bearer(&key), not_found, retry_after)
            .await;
        deployment.svix.clear_faults();
    }
}

/// Once with the time of the next attempt, if there will be one.
async fn the_key_is_understood(pair: &mut Pair, token: &str, retry_after: RetryAfter) {
    let deadline = Instant::now() + SOON;
    loop {
        let shown = pair.client.show(As::Bearer(token)).await;
        let said = pair.relay.said().body;
        assert_same_key(&shown, &said);
        if retry_after == Unsaid || said["webhook"]["next_attempt_at"].is_string() {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "never between two attempts: {said}"
        );
    }
}

/// 502 and 504.
async fn svix_fails(pair: &mut Pair, deployment: &Deployment) {
    let token = deployment.session().await;
    let key = pair.client.mint(As::Bearer(&token)).await;
    deployment.provisioned(&token, SOON).await;
    let (failing, silent) = ((502, "bad_gateway"), (504, "gateway_timeout"));
    for (fault, error) in [(Fault::Status(500), failing), (Fault::Hang, silent)] {
        deployment
            .svix
            .fault(Pattern::portal(), fault)
            .until_cleared();
        pair.refused(&["portal"], As::Bearer(&key), error, Unsaid)
            .await;
        deployment.svix.clear_faults();
    }
}

/// 503, when it is down, and 500, when it is not ours any more.
async fn the_database_fails(pair: &mut Pair, deployment: &Deployment) {
    let token = deployment.session().await;
    let session = As::Bearer(&token);
    let key = pair.client.mint(As::Bearer(&token)).await;

    let database = &deployment.in_production().database;
    database.allow_connections(false).await;
    let unavailable = (503, "unavailable");
    pair.refused(&WITH_SESSION, session, unavailable, Said)
        .await;
    pair.refused(&["portal"], As::Bearer(&key), unavailable, Said)
        .await;
    database.allow_connections(true).await;

    let pool = database.pool().await;
    let alter = "ALTER TABLE api_partners RENAME COLUMN key_prefix TO of_somebody_else";
    sqlx::query(alter).execute(&pool).await.unwrap();
    let recovered = || deployment.client.show(&token);
    eventually("the api is connected again", SOON, recovered, |answer| {
        answer.status != 503
    })
    .await;
    let internal = (500, "internal");
    pair.refused(&["create", "show"], session, internal, Unsaid)
        .await;
    pair.refused(&["portal"], As::Bearer(&key), internal, Unsaid)
        .await;
    let alter = "ALTER TABLE api_partners RENAME COLUMN is_active TO was_active";
    sqlx::query(alter).execute(&pool).await.unwrap();
    pair.refused(&["revoke"], session, internal, Unsaid).await;
}
