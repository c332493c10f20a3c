//! Checks that each client parses every error of the document correctly.

use std::time::Instant;

use serde_json::json;
use svix_simulator::{Fault, Pattern};
use tests::{Credential, Deployment, GeneratedClient, Passing, Plan, Relay, eventually};

use super::{TIMEOUT, assert_same_key};
use crate::leaks::revocations;

/// Says whether a response must have the header `Retry-After`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RetryAfter {
    Present,
    Absent,
}
use RetryAfter::{Absent, Present};

/// A client, and the relay to the API, which records the last response.
struct RelayedClient {
    client: GeneratedClient,
    relay: Relay,
}

/// The operations that need a session.
const WITH_SESSION: [&str; 3] = ["create", "show", "revoke"];

impl RelayedClient {
    /// Checks that each of these operations fails with this error, and that the client
    /// parses every member of it.
    async fn assert_error(
        &mut self,
        operations: &[&str],
        credential: Credential<'_>,
        (status, code): (u16, &str),
        retry_after: RetryAfter,
    ) {
        for operation in operations {
            let parsed = self.client.call(operation, credential).await;
            let response = self.relay.said();
            assert_eq!(response.status, status, "{operation}: {response:?}");
            let has_retry_after = response.retry_after.is_some();
            assert_eq!(
                has_retry_after,
                retry_after == Present,
                "{operation}: {response:?}"
            );
            let detail = &response.body["error"];
            assert_eq!(detail["code"], code, "{operation}: {response:?}");
            let expected = json!({"error": {
                "status": status,
                "code": code,
                "message": detail["message"],
                "request_id": detail["request_id"],
                "retry_after": response.retry_after,
                "created": null,
            }});
            assert_eq!(parsed, expected, "{operation}");
        }
    }
}

pub async fn each_error_has_its_documented_type(name: &'static str) {
    let deployment = Deployment::production(1).await;
    let relay = Relay::start(deployment.client.base()).await;
    let client = GeneratedClient::start(name, relay.url());
    let mut relayed = RelayedClient { client, relay };

    unauthorized_and_forbidden_requests(&mut relayed, &deployment).await;
    invalid_and_conflicting_requests(&mut relayed, &deployment).await;
    webhooks_that_are_not_ready(&mut relayed, &deployment).await;
    svix_failures(&mut relayed, &deployment).await;
    database_failures(&mut relayed, &deployment).await;
    relayed.client.finish().await;
    too_many_requests(name).await;
}

/// Causes 429, with the smallest limits.
async fn too_many_requests(name: &'static str) {
    let limits = [
        "RATE_LIMIT_CREATE",
        "RATE_LIMIT_REPORTS",
        "RATE_LIMIT_PORTAL",
        "RATE_LIMIT_FAILED_AUTH",
    ]
    .map(|limit| (limit, "1/h".to_owned()));
    let deployment = Deployment::planned(Plan {
        env: limits.into(),
        ..Plan::default()
    })
    .await;
    let relay = Relay::start(deployment.client.base()).await;
    let client = GeneratedClient::start(name, relay.url());
    let mut relayed = RelayedClient { client, relay };
    let rate_limited = (429, "rate_limited");

    let token = deployment.session().await;
    let session = Credential::Bearer(&token);
    let minted = relayed.client.mint(session).await;
    relayed
        .assert_error(&["create"], session, rate_limited, Present)
        .await;
    let key = Credential::Bearer(&minted);
    relayed.client.portal(key).await;
    relayed
        .assert_error(&["portal"], key, rate_limited, Present)
        .await;
    relayed.client.report(&minted).await;
    let found = "report: found at https://example.com/a-public-file";
    assert_eq!(revocations(&deployment).await, [found]);
    relayed
        .assert_error(&["report"], key, rate_limited, Present)
        .await;
    for _ in 0..2 {
        relayed
            .client
            .show(Credential::Bearer("unknown-token"))
            .await;
    }
    relayed
        .assert_error(&["show", "revoke"], session, rate_limited, Present)
        .await;
    relayed.client.finish().await;
}

/// Causes 401 and 403.
async fn unauthorized_and_forbidden_requests(relayed: &mut RelayedClient, deployment: &Deployment) {
    let unknown = Credential::Bearer("unknown-token");
    let session = deployment.session().await;
    let unauthorized = (401, "unauthorized");
    relayed
        .assert_error(&WITH_SESSION, unknown, unauthorized, Absent)
        .await;
    relayed
        .assert_error(
            &["portal"],
            Credential::Bearer(&session),
            unauthorized,
            Absent,
        )
        .await;

    let cookie = Credential::Cookie(&session);
    relayed
        .assert_error(&["create", "revoke"], cookie, (403, "forbidden"), Absent)
        .await;
    assert!(relayed.client.show(cookie).await["no_key"].is_object());
}

/// Causes 400, 409 and 413. The relay replaces the body.
async fn invalid_and_conflicting_requests(relayed: &mut RelayedClient, deployment: &Deployment) {
    let token = deployment.session().await;
    let session = Credential::Bearer(&token);
    let malformed = Passing::With {
        headers: "Transfer-Encoding: chunked\r\n",
        body: b"no length\r\n".to_vec(),
    };
    let too_large = Passing::With {
        headers: "Content-Length: 100000\r\n",
        body: vec![b'x'; 100_000],
    };
    let (bad_request, payload_too_large) = ((400, "bad_request"), (413, "payload_too_large"));
    for (passing, error) in [(malformed, bad_request), (too_large, payload_too_large)] {
        relayed.relay.passes(passing);
        relayed
            .assert_error(&WITH_SESSION, session, error, Absent)
            .await;
        relayed
            .assert_error(&["portal", "report"], session, error, Absent)
            .await;
    }
    relayed.relay.passes(Passing::Unchanged);

    relayed.client.mint(session).await;
    relayed
        .assert_error(&["create"], session, (409, "conflict"), Absent)
        .await;
}

/// Causes 404: first while the worker still retries, then after it has given up.
async fn webhooks_that_are_not_ready(relayed: &mut RelayedClient, deployment: &Deployment) {
    for (fault, retry_after) in [(503, Present), (422, Absent)] {
        let fault = Fault::Status(fault);
        deployment
            .svix
            .fault(Pattern::create(), fault)
            .until_cleared();
        let token = deployment.session().await;
        let key = relayed.client.mint(Credential::Bearer(&token)).await;
        let expected = if retry_after == Present {
            "setting_up"
        } else {
            "needs_attention"
        };
        let shown = || async { deployment.client.show(&token).await.body };
        eventually(expected, TIMEOUT, shown, |shown| {
            let attempted = shown["webhook"]["attempts"].as_u64() >= Some(1);
            attempted && shown["webhook"]["state"] == expected
        })
        .await;
        assert_key_is_parsed(relayed, &token, retry_after).await;
        let not_found = (404, "not_found");
        relayed
            .assert_error(
                &["portal"],
                Credential::Bearer(&key),
                not_found,
                retry_after,
            )
            .await;
        deployment.svix.clear_faults();
    }
}

/// Checks that the client parses the key. If there will be another attempt, waits for
/// a response that has the time of it.
async fn assert_key_is_parsed(relayed: &mut RelayedClient, token: &str, retry_after: RetryAfter) {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let shown = relayed.client.show(Credential::Bearer(token)).await;
        let response = relayed.relay.said().body;
        assert_same_key(&shown, &response);
        if retry_after == Absent || response["webhook"]["next_attempt_at"].is_string() {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "no response had next_attempt_at: {response}"
        );
    }
}

/// Causes 502 and 504.
async fn svix_failures(relayed: &mut RelayedClient, deployment: &Deployment) {
    let token = deployment.session().await;
    let key = relayed.client.mint(Credential::Bearer(&token)).await;
    deployment.provisioned(&token, TIMEOUT).await;
    let (bad_gateway, gateway_timeout) = ((502, "bad_gateway"), (504, "gateway_timeout"));
    for (fault, error) in [
        (Fault::Status(500), bad_gateway),
        (Fault::Hang, gateway_timeout),
    ] {
        deployment
            .svix
            .fault(Pattern::portal(), fault)
            .until_cleared();
        relayed
            .assert_error(&["portal"], Credential::Bearer(&key), error, Absent)
            .await;
        deployment.svix.clear_faults();
    }
}

/// Causes 503 by refusing connections to the database, and 500 by renaming columns.
async fn database_failures(relayed: &mut RelayedClient, deployment: &Deployment) {
    let token = deployment.session().await;
    let session = Credential::Bearer(&token);
    let key = relayed.client.mint(Credential::Bearer(&token)).await;

    let database = &deployment.in_production().database;
    database.allow_connections(false).await;
    let unavailable = (503, "unavailable");
    relayed
        .assert_error(&WITH_SESSION, session, unavailable, Present)
        .await;
    relayed
        .assert_error(
            &["portal", "report"],
            Credential::Bearer(&key),
            unavailable,
            Present,
        )
        .await;
    database.allow_connections(true).await;

    let pool = database.pool().await;
    let alter = "ALTER TABLE api_partners RENAME COLUMN key_prefix TO renamed_key_prefix";
    sqlx::query(alter).execute(&pool).await.unwrap();
    let recovered = || deployment.client.show(&token);
    eventually("the API is connected again", TIMEOUT, recovered, |answer| {
        answer.status != 503
    })
    .await;
    let internal = (500, "internal");
    relayed
        .assert_error(&["create", "show"], session, internal, Absent)
        .await;
    relayed
        .assert_error(
            &["portal", "report"],
            Credential::Bearer(&key),
            internal,
            Absent,
        )
        .await;
    let alter = "ALTER TABLE api_partners RENAME COLUMN is_active TO was_active";
    sqlx::query(alter).execute(&pool).await.unwrap();
    relayed
        .assert_error(&["revoke"], session, internal, Absent)
        .await;
}
