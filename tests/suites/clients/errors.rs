//! Every error that the document names, as each client's types have it.

use serde_json::Value;
use standalone::svix_simulator::{Fault, Pattern};
use tests::{As, Deployment, GeneratedClient, Passing, Plan, Relay, eventually};

use super::SOON;

/// What the api asks of those who come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RetryAfter {
    Said,
    Unsaid,
}
use RetryAfter::{Said, Unsaid};

#[track_caller]
fn is_error(answer: &Value, status: u16, code: &str, retry_after: RetryAfter) {
    let error = &answer["error"];
    assert_eq!(error["status"], status, "{answer}");
    assert_eq!(error["code"], code, "{answer}");
    for text in ["message", "request_id"] {
        let text = error[text].as_str();
        assert!(text.is_some_and(|text| !text.is_empty()), "{answer}");
    }
    let seconds = error["retry_after"].as_u64();
    assert_eq!(
        seconds.is_some_and(|s| s >= 1),
        retry_after == Said,
        "{answer}"
    );
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
    let mut client = GeneratedClient::start(name, relay.url());

    nobody_is_let_in(&mut client, &deployment).await;
    the_request_is_refused(&mut client, &deployment, &relay).await;
    the_webhooks_are_not_there(&mut client, &deployment).await;
    svix_fails(&mut client, &deployment).await;
    the_database_fails(&mut client, &deployment).await;
    client.finish().await;
}

/// 401 and 403.
async fn nobody_is_let_in(client: &mut GeneratedClient, deployment: &Deployment) {
    let stranger = As::Bearer("of-nobody");
    let session = deployment.session().await;
    is_error(&client.create(stranger).await, 401, "unauthorized", Unsaid);
    is_error(&client.show(stranger).await, 401, "unauthorized", Unsaid);
    is_error(&client.revoke(stranger).await, 401, "unauthorized", Unsaid);
    let no_key = client.portal(As::Bearer(&session)).await;
    is_error(&no_key, 401, "unauthorized", Unsaid);

    let cookie = As::Cookie(&session);
    is_error(&client.create(cookie).await, 403, "forbidden", Unsaid);
    is_error(&client.revoke(cookie).await, 403, "forbidden", Unsaid);
    assert!(client.show(cookie).await["no_key"].is_object());
}

/// 400, 409 and 413. No client sends a body, so something in between does.
async fn the_request_is_refused(
    client: &mut GeneratedClient,
    deployment: &Deployment,
    relay: &Relay,
) {
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
        relay.passes(passing);
        is_error(&client.create(session).await, status, code, Unsaid);
        is_error(&client.show(session).await, status, code, Unsaid);
        is_error(&client.revoke(session).await, status, code, Unsaid);
        is_error(&client.portal(session).await, status, code, Unsaid);
    }
    relay.passes(Passing::Unchanged);

    assert!(client.create(session).await["created"].is_object());
    is_error(&client.create(session).await, 409, "conflict", Unsaid);
}

/// 404, before and after it is given up.
async fn the_webhooks_are_not_there(client: &mut GeneratedClient, deployment: &Deployment) {
    for (fault, retry_after) in [(503, Said), (422, Unsaid)] {
        let fault = Fault::Status(fault);
        deployment
            .svix
            .fault(Pattern::create(), fault)
            .until_cleared();
        let token = deployment.session().await;
        let key = mint(client, &token).await;
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
        let shown = client.show(As::Bearer(&token)).await;
        assert_eq!(shown["active_key"]["webhook"]["state"], wanted);
        let early = client.portal(As::Bearer(&key)).await;
        is_error(&early, 404, "not_found", retry_after);
        deployment.svix.clear_faults();
    }
}

/// 502 and 504.
async fn svix_fails(client: &mut GeneratedClient, deployment: &Deployment) {
    let token = deployment.session().await;
    let key = mint(client, &token).await;
    deployment.provisioned(&token, SOON).await;
    let (failing, silent) = ((502, "bad_gateway"), (504, "gateway_timeout"));
    for (fault, (status, code)) in [(Fault::Status(500), failing), (Fault::Hang, silent)] {
        deployment
            .svix
            .fault(Pattern::portal(), fault)
            .until_cleared();
        let answer = client.portal(As::Bearer(&key)).await;
        is_error(&answer, status, code, Unsaid);
        deployment.svix.clear_faults();
    }
}

/// 503, when it is down, and 500, when it is not ours any more.
async fn the_database_fails(client: &mut GeneratedClient, deployment: &Deployment) {
    let token = deployment.session().await;
    let session = As::Bearer(&token);
    let key = mint(client, &token).await;

    let database = &deployment.in_production().database;
    database.allow_connections(false).await;
    is_error(&client.create(session).await, 503, "unavailable", Said);
    is_error(&client.show(session).await, 503, "unavailable", Said);
    is_error(&client.revoke(session).await, 503, "unavailable", Said);
    is_error(
        &client.portal(As::Bearer(&key)).await,
        503,
        "unavailable",
        Said,
    );
    database.allow_connections(true).await;

    let pool = database.pool().await;
    let alter = "ALTER TABLE api_partners RENAME COLUMN key_prefix TO of_somebody_else";
    sqlx::query(alter).execute(&pool).await.unwrap();
    let recovered = || deployment.client.show(&token);
    eventually("the api is connected again", SOON, recovered, |answer| {
        answer.status != 503
    })
    .await;
    is_error(&client.create(session).await, 500, "internal", Unsaid);
    is_error(&client.show(session).await, 500, "internal", Unsaid);
    is_error(
        &client.portal(As::Bearer(&key)).await,
        500,
        "internal",
        Unsaid,
    );
    let alter = "ALTER TABLE api_partners RENAME COLUMN is_active TO was_active";
    sqlx::query(alter).execute(&pool).await.unwrap();
    is_error(&client.revoke(session).await, 500, "internal", Unsaid);
}
