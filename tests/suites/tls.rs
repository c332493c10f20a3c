//! Every link works over TLS, and only with a server that proves who it is.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use svix_simulator::{Options, Pattern, Route, Simulator};
use tests::{Deployment, Plan, PrivateCa, PrivatePostgres, RedisServer, TestDatabase};

const SOON: Duration = Duration::from_secs(15);
/// What our servers are reached by.
const HOST: &str = "127.0.0.1";

/// Why a server is not the one that it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    /// Its certificate is from a CA that only has the name of ours.
    OtherCa,
    /// Its certificate is for another host.
    OtherHost,
    /// It speaks no TLS at all.
    NoTls,
}

impl Flaw {
    /// The certificate and key of a server with this flaw.
    fn certificate(self, ca: &PrivateCa) -> Option<(String, String)> {
        match self {
            Self::OtherCa => Some(PrivateCa::new().issue(HOST)),
            Self::OtherHost => Some(ca.issue("elsewhere.example")),
            Self::NoTls => None,
        }
    }
}

/// Tells a process to trust this CA, for Redis and Svix. PostgreSQL is told in
/// its URL.
fn trust(ca: &Path) -> (&'static str, String) {
    ("SSL_CERT_FILE", ca.to_str().unwrap().to_owned())
}

fn verified(database: &TestDatabase, ca: &Path) -> String {
    let (url, ca) = (database.url(), ca.to_str().unwrap());
    format!("{url}?sslmode=verify-full&sslrootcert={ca}&application_name=product")
}

async fn readyz(deployment: &Deployment) -> (u16, Value) {
    let http = tests::http::client();
    let url = format!("{}/readyz", deployment.client.base());
    let answer = http.get(url).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn a_key_lives_and_dies_with_all_three_links_over_tls() {
    let (ca, dir) = (PrivateCa::new(), tests::scratch());
    let trusted = ca.write(dir.path());
    let (certificate, key) = ca.issue(HOST);
    let postgres = PrivatePostgres::start_tls(&certificate, &key).await;
    let redis = RedisServer::start_tls(&certificate, &key).await;
    let svix = Simulator::start_tls(Options::default(), &certificate, &key);
    let svix = svix.await.unwrap();
    assert!(redis.url().starts_with("rediss://"));
    assert!(svix.url().starts_with("https://"));

    let database = postgres.migrated().await;
    let env = vec![
        ("DATABASE_URL", verified(&database, &trusted)),
        ("SVIX_SERVER_URL", svix.url()),
        trust(&trusted),
    ];
    let deployment = Deployment::planned(Plan {
        database: Some(database),
        redis: Some(redis),
        workers: 1,
        env,
    })
    .await;
    let ready = (200, json!({"status": "ready", "missing": []}));
    assert_eq!(readyz(&deployment).await, ready);

    let (client, session) = (&deployment.client, deployment.session().await);
    let key = client.create(&session).await.text("api_key");
    deployment.provisioned(&session, SOON).await;
    let portal = client.portal(&key).await;
    assert!(portal.text("url").starts_with(&svix.url()), "{portal:?}");
    assert_eq!(client.revoke(&session).await.status, 200);
    client.portal(&key).await.is_error(401, "unauthorized");
    assert!(svix.calls(Route::Create) >= 1);
    assert_eq!(deployment.svix.calls(Pattern::any()), 0);

    let pool = deployment.in_production().database.pool().await;
    let (encrypted, plain): (i64, i64) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE ssl), count(*) FILTER (WHERE NOT ssl)
         FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
         WHERE application_name = 'product'",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert!(encrypted >= 2, "of the api and of the worker: {encrypted}");
    assert_eq!(plain, 0);
}

/// PostgreSQL takes connections without TLS here too: a client that fell back to
/// them would be served.
async fn a_flawed_database_is_not_used(flaw: Flaw, reason: &str) {
    let (ca, dir) = (PrivateCa::new(), tests::scratch());
    let trusted = ca.write(dir.path());
    let postgres = match flaw.certificate(&ca) {
        Some((certificate, key)) => PrivatePostgres::start_tls(&certificate, &key).await,
        None => PrivatePostgres::start().await,
    };
    let database = postgres.migrated().await;
    let env = vec![("DATABASE_URL", verified(&database, &trusted))];
    let deployment = Deployment::planned(Plan {
        database: Some(database),
        workers: 1,
        env,
        ..Plan::default()
    });
    let mut deployment = deployment.await;

    let session = deployment.session().await;
    let refused = deployment.client.create(&session).await;
    refused.is_error(503, "unavailable");
    let missing = json!({"status": "unavailable", "missing": ["database"]});
    assert_eq!(readyz(&deployment).await, (503, missing));
    assert!(!refused.text.contains("certificate"), "{refused:?}");
    deployment.server.logged(reason).await;
    let worker = &mut deployment.in_production_mut().workers[0];
    let line = worker.logged("the sweep failed").await;
    assert!(line.contains(reason), "{line}");
}

#[tokio::test]
async fn a_database_with_another_cas_certificate_is_not_used() {
    a_flawed_database_is_not_used(Flaw::OtherCa, "invalid peer certificate: BadSignature").await;
}

#[tokio::test]
async fn a_database_with_another_hosts_certificate_is_not_used() {
    a_flawed_database_is_not_used(Flaw::OtherHost, "not valid for name").await;
}

#[tokio::test]
async fn a_database_without_tls_is_not_used() {
    a_flawed_database_is_not_used(Flaw::NoTls, "server does not support TLS").await;
}

/// Keys are minted all the same; only the setting up of webhooks has to wait.
async fn a_flawed_redis_is_not_used(flaw: Flaw, fragment: &str, reason: &str) {
    let (ca, dir) = (PrivateCa::new(), tests::scratch());
    let trusted = ca.write(dir.path());
    let redis = match flaw.certificate(&ca) {
        Some((certificate, key)) => RedisServer::start_tls(&certificate, &key).await,
        None => RedisServer::start().await,
    };
    let url = format!("rediss://{HOST}:{}/{fragment}", redis.port());
    let deployment = Deployment::planned(Plan {
        redis: Some(redis),
        workers: 1,
        env: vec![("REDIS_URL", url), trust(&trusted)],
        ..Plan::default()
    });
    let mut deployment = deployment.await;

    let session = deployment.session().await;
    assert_eq!(deployment.client.create(&session).await.status, 201);
    let missing = json!({"status": "degraded", "missing": ["queue"]});
    assert_eq!(readyz(&deployment).await, (200, missing));
    let worker = &mut deployment.in_production_mut().workers[0];
    let line = worker.logged("the sweep failed").await;
    assert!(line.contains(reason), "{line}");

    let shown = deployment.client.show(&session).await.body;
    assert_eq!(shown["webhook"]["attempts"], 0, "{shown}");
    assert_eq!(deployment.svix.calls(Pattern::any()), 0);
}

#[tokio::test]
async fn a_redis_with_another_cas_certificate_is_not_used() {
    a_flawed_redis_is_not_used(Flaw::OtherCa, "", "invalid peer certificate: BadSignature").await;
}

#[tokio::test]
async fn a_redis_with_another_hosts_certificate_is_not_used() {
    a_flawed_redis_is_not_used(Flaw::OtherHost, "", "not valid for name").await;
}

#[tokio::test]
async fn a_redis_without_tls_is_not_used() {
    a_flawed_redis_is_not_used(Flaw::NoTls, "", "timed out").await;
}

/// `#insecure` is redis-rs's way to ask for it.
#[tokio::test]
async fn no_url_turns_the_verification_of_redis_off() {
    a_flawed_redis_is_not_used(Flaw::OtherCa, "#insecure", "Cannot create insecure client").await;
}

/// The row waits for its next attempt, and the portal says whose fault it is.
async fn a_flawed_svix_is_not_used(flaw: Flaw, reason: &str) {
    let (ca, dir) = (PrivateCa::new(), tests::scratch());
    let trusted = ca.write(dir.path());
    let svix = match flaw.certificate(&ca) {
        Some((certificate, key)) => {
            Simulator::start_tls(Options::default(), &certificate, &key).await
        }
        None => Simulator::start(Options::default()).await,
    };
    let svix = svix.unwrap();
    let url = format!("https://{}", svix.address());
    let deployment = Deployment::planned(Plan {
        workers: 1,
        env: vec![("SVIX_SERVER_URL", url), trust(&trusted)],
        ..Plan::default()
    });
    let mut deployment = deployment.await;

    let session = deployment.session().await;
    let created = deployment.client.create(&session).await;
    assert_eq!(created.status, 201);
    let worker = &mut deployment.in_production_mut().workers[0];
    let line = worker
        .logged("the attempt failed and will be retried")
        .await;
    assert!(line.contains(reason), "{line}");
    let shown = deployment.client.show(&session).await.body;
    assert_eq!(shown["has_webhook"], false);
    assert_eq!(shown["webhook"]["state"], "setting_up");

    // As if the application had been made before the certificate went bad.
    deployment.in_production_mut().workers[0].kill().await;
    let pool = deployment.in_production().database.pool().await;
    let provision = "UPDATE api_partners SET has_webhook = true, svix_app_id = 'app_1', \
                     next_attempt_at = NULL, leased_until = NULL";
    sqlx::query(provision).execute(&pool).await.unwrap();
    let portal = deployment.client.portal(&created.text("api_key")).await;
    portal.is_error(502, "bad_gateway");
    assert_eq!(svix.calls(Pattern::any()), 0);
}

#[tokio::test]
async fn a_svix_with_another_cas_certificate_is_not_used() {
    a_flawed_svix_is_not_used(Flaw::OtherCa, "the certificate is not trusted").await;
}

#[tokio::test]
async fn a_svix_with_another_hosts_certificate_is_not_used() {
    a_flawed_svix_is_not_used(Flaw::OtherHost, "the certificate is not trusted").await;
}

#[tokio::test]
async fn a_svix_without_tls_is_not_used() {
    a_flawed_svix_is_not_used(Flaw::NoTls, "could not connect").await;
}

/// A second cryptography provider in the tree, and the first TLS connection of a
/// library that asks for the default one panics.
#[test]
fn ring_is_no_dependency_of_the_binaries() {
    let used = |name: &str| {
        let mut tree = Command::new(env!("CARGO"));
        tree.args(["tree", "--locked", "--offline", "--edges", "normal"]);
        tree.args([
            "--package",
            "api",
            "--package",
            "worker",
            "--package",
            "standalone",
        ]);
        tree.args(["--prefix", "none", "--format", "{p}"]);
        let output = tree.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let tree = String::from_utf8(output.stdout).unwrap();
        tree.lines()
            .any(|line| line.split(' ').next() == Some(name))
    };
    assert!(used("aws-lc-rs"), "this is how to look for it");
    assert!(!used("ring"));
}
