//! Every error that the document names, as each client's types have it.

use std::time::Instant;

use serde_json::{Value, json};
use standalone::svix_simulator::{Fault, Pattern};
use tests::{As, Deployment, GeneratedClient, Passing, Plan, Relay, eventually};

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

impl Pair {
    /// Checks that this is what the client makes of the error that it was answered.
    #[track_caller]
    fn is_error(&self, answer: &Value, status: u16, code: &str, retry_after: RetryAfter) {
        let said = self.relay.said();
        assert_eq!(said.status, status, "{said:?}");
        assert_eq!(said.retry_after.is_some(), retry_after == Said, "{said:?}");
        let detail = &said.body["error"];
        assert_eq!(detail["code"], code, "{said:?}");
        let expected = json!({"error": {
            "status": status,
            "code": code,
            "message": detail["message"],
            "request_id": detail["request_id"],
            "retry_after": said.retry_after,
        }});
        assert_eq!(*answer, expected);
    }
}

async fn mint(client: &mut GeneratedClient, session: &str) -> String {
    let created = client.create(As::Bearer(session)).await;
    let key = created["created"]["api_key"].as_str();
    key.unwrap_or_else(|| panic!("{created}")).to_owned()
}

pub async fn each_error_is_typed(name: &'static str) {
    let deployment = Deployment::planned(Plan {
        workers: 1,
        ..Plan::default()
    })
    .await;
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
    let answer = pair.client.create(stranger).await;
    pair.is_error(&answer, 401, "unauthorized", Unsaid);
    let answer = pair.client.show(stranger).await;
    pair.is_error(&answer, 401, "unauthorized", Unsaid);
    let answer = pair.client.revoke(stranger).await;
    pair.is_error(&answer, 401, "unauthorized", Unsaid);
    let no_key = pair.client.portal(As::Bearer(&session)).await;
    pair.is_error(&no_key, 401, "unauthorized", Unsaid);

    let cookie = As::Cookie(&session);
    let answer = pair.client.create(cookie).await;
    pair.is_error(&answer, 403, "forbidden", Unsaid);
    let answer = pair.client.revoke(cookie).await;
    pair.is_error(&answer, 403, "forbidden", Unsaid);
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
    for (passing, (status, code)) in [(broken, malformed), (large, too_large)] {
        pair.relay.passes(passing);
        let answer = pair.client.create(session).await;
        pair.is_error(&answer, status, code, Unsaid);
        let answer = pair.client.show(session).await;
        pair.is_error(&answer, status, code, Unsaid);
        let answer = pair.client.revoke(session).await;
        pair.is_error(&answer, status, code, Unsaid);
        let answer = pair.client.portal(session).await;
        pair.is_error(&answer, status, code, Unsaid);
    }
    pair.relay.passes(Passing::Unchanged);

    assert!(pair.client.create(session).await["created"].is_object());
    let answer = pair.client.create(session).await;
    pair.is_error(&answer, 409, "conflict", Unsaid);
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
        let key = mint(&mut pair.client, &token).await;
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
        let early = pair.client.portal(As::Bearer(&key)).await;
        pair.is_error(&early, 404, "not_found", retry_after);
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
    let key = mint(&mut pair.client, &token).await;
    deployment.provisioned(&token, SOON).await;
    let (failing, silent) = ((502, "bad_gateway"), (504, "gateway_timeout"));
    for (fault, (status, code)) in [(Fault::Status(500), failing), (Fault::Hang, silent)] {
        deployment
            .svix
            .fault(Pattern::portal(), fault)
            .until_cleared();
        let answer = pair.client.portal(As::Bearer(&key)).await;
        pair.is_error(&answer, status, code, Unsaid);
        deployment.svix.clear_faults();
    }
}

/// 503, when it is down, and 500, when it is not ours any more.
async fn the_database_fails(pair: &mut Pair, deployment: &Deployment) {
    let token = deployment.session().await;
    let session = As::Bearer(&token);
    let key = mint(&mut pair.client, &token).await;

    let database = &deployment.in_production().database;
    database.allow_connections(false).await;
    let answer = pair.client.create(session).await;
    pair.is_error(&answer, 503, "unavailable", Said);
    let answer = pair.client.show(session).await;
    pair.is_error(&answer, 503, "unavailable", Said);
    let answer = pair.client.revoke(session).await;
    pair.is_error(&answer, 503, "unavailable", Said);
    let answer = pair.client.portal(As::Bearer(&key)).await;
    pair.is_error(&answer, 503, "unavailable", Said);
    database.allow_connections(true).await;

    let pool = database.pool().await;
    let alter = "ALTER TABLE api_partners RENAME COLUMN key_prefix TO of_somebody_else";
    sqlx::query(alter).execute(&pool).await.unwrap();
    let recovered = || deployment.client.show(&token);
    eventually("the api is connected again", SOON, recovered, |answer| {
        answer.status != 503
    })
    .await;
    let answer = pair.client.create(session).await;
    pair.is_error(&answer, 500, "internal", Unsaid);
    let answer = pair.client.show(session).await;
    pair.is_error(&answer, 500, "internal", Unsaid);
    let answer = pair.client.portal(As::Bearer(&key)).await;
    pair.is_error(&answer, 500, "internal", Unsaid);
    let alter = "ALTER TABLE api_partners RENAME COLUMN is_active TO was_active";
    sqlx::query(alter).execute(&pool).await.unwrap();
    let answer = pair.client.revoke(session).await;
    pair.is_error(&answer, 500, "internal", Unsaid);
}
