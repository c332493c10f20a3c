//! The operator's hand: what an operator sees of keys and sessions, and stops.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use svix_simulator::{Fault, Pattern, Route};
use tests::process::binary;
use tests::{Deployment, Plan, Role, eventually};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::SOON;

/// Returns a command of the api that runs as an operator, with pipes.
pub fn command(deployment: &Deployment, args: &[&str]) -> Command {
    let mut command = Command::new(binary("api"));
    command.args(args).env_clear();
    command.envs(deployment.env_for(Role::Migrate));
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs a command of the api as an operator. Returns its exit code and its output.
pub async fn api(deployment: &Deployment, args: &[&str], input: &str) -> (i32, String) {
    let mut running = command(deployment, args).spawn().unwrap();
    let mut stdin = running.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    drop(stdin);
    let ended = running.wait_with_output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let output = text(ended.stdout) + &text(ended.stderr);
    assert!(
        input.is_empty() || !output.contains(input.trim()),
        "{output}"
    );
    (ended.status.code().unwrap(), output)
}

/// Runs a command that must succeed, and parses its JSON.
async fn json(deployment: &Deployment, args: &[&str]) -> Value {
    let (code, output) = api(deployment, &[args, &["--json"]].concat(), "").await;
    assert_eq!(code, 0, "{args:?}: {output}");
    serde_json::from_str(&output).unwrap()
}

/// Creates a key whose webhooks are set up, and opens the portal with it.
async fn opened(deployment: &Deployment, account: &str) -> (String, String) {
    let session = deployment.session_of(account).await;
    let key = deployment.client.create(&session).await.text("api_key");
    deployment.provisioned(&session, SOON).await;
    assert_eq!(deployment.client.portal(&key).await.status, 200);
    (session, key)
}

#[tokio::test]
async fn an_operator_revokes_a_key_by_account_prefix_or_key_and_its_portal_sessions_end() {
    let deployment = Deployment::production(1).await;
    for (account, by) in [("jo", "account"), ("flo", "prefix"), ("bo", "key")] {
        let (session, key) = opened(&deployment, account).await;
        let reason = ["--reason", "a bad day"];
        let command = match by {
            "account" => vec!["key", "revoke", "--account", account],
            "prefix" => vec!["key", "revoke", "--prefix", &key[..24]],
            _ => vec!["key", "revoke", "--key-stdin"],
        };
        let input = if by == "key" {
            format!("{key}\n")
        } else {
            String::new()
        };
        let command = [&command[..], &reason].concat();
        let (code, output) = api(&deployment, &command, &input).await;
        assert_eq!(code, 0, "{by}: {output}");
        assert!(output.contains(&key[..24]), "{output}");
        deployment
            .client
            .portal(&key)
            .await
            .is_error(401, "unauthorized");
        assert_eq!(
            deployment.client.show(&session).await.body["has_key"],
            false
        );
        let sessions = || async { deployment.svix.portal_sessions() };
        eventually(
            "the portal sessions are ended",
            SOON,
            sessions,
            |sessions| sessions.iter().all(|session| session.ended),
        )
        .await;

        let (code, output) = api(&deployment, &command, &input).await;
        assert_eq!(code, 3, "there is nothing left to revoke: {output}");
        let trail = ["key", "events", "--account", account];
        let events = || json(&deployment, &trail);
        let events = eventually(
            "the end of the sessions is recorded",
            SOON,
            events,
            |events| events[0]["kind"] == "portal_sessions_ended",
        )
        .await;
        assert_eq!(events[1]["kind"], "revoked");
        assert_eq!(events[1]["actor"], "operator");
        assert_eq!(events[1]["reason"], "a bad day");
        assert_eq!(events[2]["kind"], "portal_opened");
        assert_eq!(events[2]["client_address"], "127.0.0.1");
    }
}

#[tokio::test]
async fn many_keys_are_revoked_only_after_their_number_was_seen() {
    let deployment = Deployment::production(0).await;
    let mut keys = Vec::new();
    for session in deployment.sessions(3).await {
        keys.push(deployment.client.create(&session).await.text("api_key"));
    }
    let command = ["key", "revoke", "--created-before", "2100-01-01T00:00:00Z"];
    let (code, output) = api(&deployment, &command, "").await;
    assert_eq!(code, 1, "{output}");
    assert!(output.contains("3 keys would be revoked"), "{output}");
    let listed = json(&deployment, &["key", "list"]).await;
    assert_eq!(listed.as_array().unwrap().len(), 3);
    let (code, output) = api(&deployment, &[&command[..], &["--yes"]].concat(), "").await;
    assert_eq!(
        (code, output.matches("revoked pk_live_").count()),
        (0, 3),
        "{output}"
    );
    for key in keys {
        deployment
            .client
            .portal(&key)
            .await
            .is_error(401, "unauthorized");
    }
    assert_eq!(
        json(&deployment, &["key", "list"]).await,
        serde_json::json!([])
    );
    let all = json(&deployment, &["key", "list", "--all"]).await;
    assert_eq!(all.as_array().unwrap().len(), 3);
}

/// There the runbook had no way at all.
#[tokio::test]
async fn a_key_can_be_revoked_whatever_issues_the_sessions() {
    let deployment = Deployment::production(1).await;
    let (_, key) = opened(&deployment, "jo").await;
    let mut env = deployment.env_for(Role::Migrate);
    env.extend([
        ("SESSION_MODE", "jwt".to_owned()),
        ("SESSION_JWKS_URL", "https://id.example.com/jwks".to_owned()),
        ("SESSION_ISSUER", "https://id.example.com/".to_owned()),
        ("SESSION_AUDIENCE", "partner-keys".to_owned()),
    ]);
    let mut command = Command::new(binary("api"));
    command
        .args(["key", "revoke", "--account", "jo"])
        .env_clear()
        .envs(env);
    assert!(command.status().await.unwrap().success());
    deployment
        .client
        .portal(&key)
        .await
        .is_error(401, "unauthorized");
}

#[tokio::test]
async fn an_operator_lists_and_revokes_sessions_and_purges_what_is_over() {
    let deployment = Deployment::production(1).await;
    let (session, _) = opened(&deployment, "jo").await;
    let other = deployment.session_of("flo").await;
    deployment.expired_session().await;
    let listed = json(&deployment, &["session", "list", "--account", "jo"]).await;
    let events = json(&deployment, &["key", "events", "--account", "jo"]).await;
    let created = events.as_array().unwrap().last().unwrap();
    assert_eq!(
        created["session_id"], listed[0]["id"],
        "the trail names the session"
    );

    let (code, output) = api(&deployment, &["session", "revoke", "--account", "jo"], "").await;
    assert_eq!((code, &*output), (0, "1 revoked\n"));
    deployment
        .client
        .show(&session)
        .await
        .is_error(401, "unauthorized");
    assert_eq!(deployment.client.show(&other).await.status, 200);
    let (code, _) = api(&deployment, &["session", "revoke", "--account", "jo"], "").await;
    assert_eq!(code, 3);
    // More than one statement revokes or deletes.
    let crowd = "
        INSERT INTO sessions (token_hash, account_id, expires_at)
        SELECT sha256(n::text::bytea), 'crowd', now() + interval '1 hour'
        FROM generate_series(1, 2500) AS numbers (n)";
    deployment.in_production().database.change(crowd).await;
    let (code, output) = api(&deployment, &["session", "revoke", "--all", "--yes"], "").await;
    assert_eq!((code, &*output), (0, "2501 revoked\n"));
    assert_eq!(
        json(&deployment, &["session", "list"]).await,
        serde_json::json!([])
    );
    deployment
        .client
        .show(&other)
        .await
        .is_error(401, "unauthorized");

    let (_, _) = api(&deployment, &["key", "revoke", "--account", "jo"], "").await;
    let trail = ["key", "events", "--account", "jo"];
    let ended = || json(&deployment, &trail);
    eventually("the work is done", SOON, ended, |events| {
        events[0]["kind"] == "portal_sessions_ended"
    })
    .await;
    let purge = ["purge", "--revoked-before", "2100-01-01T00:00:00Z"];
    for (dry, verb) in [(true, "would be deleted"), (false, "deleted")] {
        let flag: &[&str] = if dry { &["--dry-run"] } else { &[] };
        let (code, output) = api(&deployment, &[&purge[..], flag].concat(), "").await;
        let expected = format!("2503 ended sessions {verb}\n1 revoked keys {verb}\n");
        assert_eq!((code, output), (0, expected));
    }
    assert_eq!(
        json(&deployment, &["key", "list", "--all"]).await,
        serde_json::json!([])
    );
    let events = json(&deployment, &["key", "events"]).await;
    assert_eq!(events.as_array().unwrap().len(), 5, "the trail stays");
}

/// They were four tries in the memory of the process that was asked.
#[tokio::test]
async fn portal_sessions_end_after_any_outage_of_svix_and_of_the_processes() {
    let mut deployment = Deployment::production(1).await;
    let (session, _) = opened(&deployment, "jo").await;
    let down = Fault::Status(503);
    deployment
        .svix
        .fault(Pattern::expire_all(), down)
        .until_cleared();
    assert_eq!(deployment.client.revoke(&session).await.status, 200);
    deployment.svix.wait_for_calls(Route::ExpireAll, 2).await;
    deployment.server.kill().await;
    deployment.in_production_mut().workers[0].kill().await;
    deployment.svix.clear_faults();
    deployment.start_worker().await;
    let sessions = || async { deployment.svix.portal_sessions() };
    // The killed worker may have had a claim, whose lease must run out.
    eventually(
        "the portal sessions are ended",
        Duration::from_mins(2),
        sessions,
        |sessions| sessions.iter().all(|session| session.ended),
    )
    .await;
}

/// The open-source server has no such route.
#[tokio::test]
async fn a_server_without_portal_sessions_is_not_asked_for_ever() {
    let deployment = Deployment::planned(Plan {
        workers: 1,
        ..Plan::default()
    })
    .await;
    let (session, _) = opened(&deployment, "jo").await;
    let missing = Fault::Status(404);
    deployment
        .svix
        .fault(Pattern::expire_all(), missing)
        .until_cleared();
    assert_eq!(deployment.client.revoke(&session).await.status, 200);
    deployment.all_provisioned(SOON).await; // no work is left
    assert_eq!(deployment.svix.calls(Route::ExpireAll), 1);
}
