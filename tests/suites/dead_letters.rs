//! Dead letters. Operators see them and re-arm them. An account replaces one by revoking
//! its key and creating another.

use std::time::Duration;

use serde_json::Value;
use shared::ids::AccountId;
use svix_simulator::{Fault, Pattern};
use tests::{Deployment, Process, eventually};

const SOON: Duration = Duration::from_secs(10);

/// Runs a `worker` command. Returns whether it succeeded, its output and its log.
async fn run_worker(deployment: &Deployment, args: &[&str]) -> (bool, String, String) {
    let process = Process::start(deployment.dir(), "worker", args, &deployment.env());
    let (status, output, log) = process.run().await;
    (status.success(), output, log)
}

/// Returns what `worker status --json` prints.
async fn status(deployment: &Deployment) -> Value {
    let (ok, output, log) = run_worker(deployment, &["status", "--json"]).await;
    assert!(ok, "{log}");
    serde_json::from_str(&output).unwrap()
}

/// Creates keys that Svix rejects permanently. Returns the sessions of their accounts.
async fn create_dead_letters(deployment: &Deployment, count: usize) -> Vec<String> {
    let refuse = Fault::Status(422);
    deployment
        .svix
        .fault(Pattern::create(), refuse)
        .until_cleared();
    let sessions = deployment.sessions(count).await;
    for session in &sessions {
        assert_eq!(deployment.client.create(session).await.status, 201);
        let shown = || async { deployment.client.show(session).await.body };
        eventually("a dead letter", SOON, shown, |key| {
            key["webhook"]["state"] == "needs_attention"
        })
        .await;
    }
    deployment.svix.clear_faults();
    sessions
}

#[tokio::test]
async fn an_operator_sees_dead_letters_and_re_arms_them() {
    let deployment = Deployment::production(1).await;
    let sessions = create_dead_letters(&deployment, 2).await;

    let shown = status(&deployment).await;
    assert_eq!(shown["database"]["failed"], 2);
    let letters = shown["database"]["dead_letters"].as_array().unwrap();
    assert_eq!(letters[0]["attempts"], 1);
    assert!(letters[0]["last_error"].as_str().unwrap().contains("422"));
    assert_eq!(shown["redis"]["workers"].as_array().unwrap().len(), 1);
    let (ok, text, _) = run_worker(&deployment, &["status"]).await;
    let id = letters[0]["key_id"].as_str().unwrap();
    assert!(ok && text.contains(id) && text.contains("422"), "{text}");

    let (ok, output, log) = run_worker(&deployment, &["retry", id]).await;
    assert!(ok, "{log}");
    assert_eq!(output.trim(), "1 re-armed");
    deployment.provisioned(&sessions[0], SOON).await;
    assert_eq!(status(&deployment).await["database"]["failed"], 1);

    let (ok, output, log) = run_worker(&deployment, &["retry", "--all"]).await;
    assert!(ok, "{log}");
    assert_eq!(output.trim(), "1 re-armed");
    deployment.provisioned(&sessions[1], SOON).await;
    assert_eq!(status(&deployment).await["database"]["failed"], 0);

    let (ok, _, log) = run_worker(&deployment, &["retry", id]).await;
    assert!(
        !ok && log.contains(id) && log.contains("nothing was changed"),
        "{log}"
    );
    let (ok, _, log) = run_worker(&deployment, &["retry"]).await;
    assert!(!ok && log.contains("--all"), "{log}");
}

#[tokio::test]
async fn an_account_replaces_its_dead_letter_by_revoking_and_creating_a_key() {
    let deployment = Deployment::production(1).await;
    let session = create_dead_letters(&deployment, 1).await.remove(0);
    assert_eq!(deployment.client.revoke(&session).await.status, 200);
    assert_eq!(deployment.client.create(&session).await.status, 201);
    deployment.provisioned(&session, SOON).await;
    assert_eq!(
        status(&deployment).await["database"]["failed"],
        0,
        "a revoked dead letter is not counted"
    );
}

#[tokio::test]
async fn an_operator_re_arms_rows_that_wait_after_the_token_is_fixed() {
    let deployment = Deployment::production(1).await;
    deployment.svix.set_token(Some("testsk_another"));
    let session = deployment.session_of("jo@example.org").await;
    assert_eq!(deployment.client.create(&session).await.status, 201);
    let account = AccountId::parse("jo@example.org").unwrap();
    let row = || async {
        deployment
            .store
            .keys_of(&account)
            .await
            .unwrap()
            .active
            .unwrap()
    };
    eventually("the row waits for its next attempt", SOON, row, |row| {
        row.attempts == 1 && row.next_attempt_at.is_some()
    })
    .await;
    let waiting = || async { status(&deployment).await["database"]["waiting"].clone() };
    eventually("status counts one waiting row", SOON, waiting, |waiting| {
        *waiting == 1
    })
    .await;

    deployment.svix.set_token(None);
    let (ok, output, log) = run_worker(&deployment, &["retry", "--waiting"]).await;
    assert!(ok, "{log}");
    assert_eq!(output.trim(), "1 re-armed");
    deployment.provisioned(&session, SOON).await;
}

#[tokio::test]
async fn status_names_what_it_could_not_reach_and_shows_the_rest() {
    let mut deployment = Deployment::production(0).await;
    deployment.in_production_mut().redis.kill().await;
    let (ok, output, log) = run_worker(&deployment, &["status", "--json"]).await;
    assert!(!ok && log.contains("Redis could not be reached"), "{log}");
    let shown: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(shown["redis"]["reached"], false);
    assert_eq!(shown["database"]["due"], 0);
    let (ok, text, _) = run_worker(&deployment, &["status"]).await;
    assert!(!ok && text.contains("redis      not reached"), "{text}");
}
