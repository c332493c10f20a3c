//! Mistakes with Svix, published keys, the machine, and servers that say nothing.

use svix_simulator::{Options, Simulator};
use tests::github::published;
use tests::process::binary;
use tests::{IdentityProvider, Mood};
use tokio::net::TcpListener;
use tokio::process::Command;

use super::{Diagnosis, diagnose, output, with};

#[tokio::test]
async fn what_is_wrong_with_svix_is_named() {
    let options = Options {
        token: Some("another".to_owned()),
        ..Options::default()
    };
    let svix = Simulator::start(options).await.unwrap();
    let not_svix = IdentityProvider::start(&[]).await;
    not_svix.is(Mood::With("404 Not Found\r\n"));
    let not_svix = not_svix.url().replace("/jwks", "");
    let (url, us) = (svix.url(), "https://api.us.svix.com");
    let (wrong_token, not_svix, region, no_name, own_token) = tokio::join!(
        async { diagnose("worker", &with(&[("SVIX_SERVER_URL", &url)])).await },
        async { diagnose("worker", &with(&[("SVIX_SERVER_URL", &not_svix)])).await },
        async { diagnose("worker", &with(&[("SVIX_SERVER_URL", us)])).await },
        async {
            let url = "https://nothing.invalid";
            diagnose("worker", &with(&[("SVIX_SERVER_URL", url)])).await
        },
        async {
            let token = ("SVIX_TOKEN", "eyJhbGciOiJIUzI1NiJ9.hunter2.c2ln");
            diagnose("worker", &with(&[token, ("SVIX_SERVER_URL", "")])).await
        },
    );
    wrong_token.finds("svix.token", "error", "127.0.0.1: HTTP 401");
    not_svix.finds("svix.token", "error", "127.0.0.1: HTTP 404");
    region.finds("svix.region", "error", "the token is for the region eu");
    no_name.finds(
        "svix.name",
        "error",
        "the name nothing.invalid was not found",
    );
    no_name.finds("svix.token", "skipped", "");
    own_token.finds(
        "svix.region",
        "error",
        "the token is of a Svix server of your own",
    );
}

#[tokio::test]
async fn what_is_wrong_with_the_identity_provider_is_named() {
    let provider = IdentityProvider::start(&[]).await;
    let other = IdentityProvider::start(&[]).await;
    other.is(Mood::Saying("<html>hunter2".to_owned()));
    let diagnose_with = async |url: String| {
        let env = with(&[
            ("SESSION_MODE", "jwt"),
            ("SESSION_JWKS_URL", &url),
            ("SESSION_ISSUER", "https://id.example.com/"),
            ("SESSION_AUDIENCE", "partner-keys"),
        ]);
        diagnose("api", &env).await
    };
    let (empty, html, gone, no_name) = tokio::join!(
        diagnose_with(provider.url()),
        diagnose_with(other.url()),
        diagnose_with("http://127.0.0.1:1/jwks?key=hunter2".to_owned()),
        diagnose_with("https://nothing.invalid/jwks?key=hunter2".to_owned()),
    );
    let keys = "identity_provider.keys";
    empty.finds(keys, "error", "127.0.0.1 publishes no key");
    html.finds(keys, "error", "not a JSON Web Key Set");
    gone.finds(keys, "error", "Connection refused");
    no_name.finds(
        "identity_provider.name",
        "error",
        "nothing.invalid was not found",
    );
    no_name.finds(keys, "skipped", "");
}

#[tokio::test]
async fn what_is_wrong_with_the_keys_of_github_is_named() {
    let empty = IdentityProvider::start(&[]).await;
    empty.publish_document(&published(&[]));
    let other = IdentityProvider::start(&[]).await;
    let diagnose_with = async |url: &str| {
        let env = with(&[("GITHUB_SECRET_SCANNING", "on"), ("GITHUB_KEYS_URL", url)]);
        diagnose("api", &env).await
    };
    let (empty, other) = (empty.url(), other.url());
    let (empty, other, gone, no_name) = tokio::join!(
        diagnose_with(&empty),
        diagnose_with(&other),
        diagnose_with("http://127.0.0.1:1/keys?token=hunter2"),
        diagnose_with("https://nothing.invalid/keys?token=hunter2"),
    );
    let keys = "github.keys";
    empty.finds(
        keys,
        "error",
        "127.0.0.1 publishes no key that can sign reports",
    );
    other.finds(keys, "error", "not a list of public keys");
    gone.finds(keys, "error", "Connection refused");
    no_name.finds("github.name", "error", "nothing.invalid was not found");
    no_name.finds(keys, "skipped", "");
}

#[tokio::test]
async fn what_is_wrong_with_the_machine_is_named() {
    let mut few = Command::new("sh");
    few.args(["-c", "ulimit -n 400 && exec \"$0\" doctor --json"]);
    few.arg(binary("api")).env_clear();
    let mut env = with(&[
        ("LISTEN_ADDR", "203.0.113.1:80"),
        ("INTERNAL_ADDR", "203.0.113.1:80"),
        ("INTERNAL_TOKEN", "a-token-of-at-least-32-characters"),
        ("ADMIN_ADDR", "127.0.0.1:0"),
    ]);
    env.retain(|(name, _)| *name != "MAX_CONNECTIONS");
    few.envs(env);
    let found = Diagnosis::of(output(few).await);
    found.finds("descriptors", "warning", "may open 400, and needs 20256");
    let public = "LISTEN_ADDR: cannot listen on 203.0.113.1:80";
    found.finds("listen.public", "error", public);
    let internal =
        "INTERNAL_ADDR: cannot listen on 203.0.113.1:80: LISTEN_ADDR uses 203.0.113.1:80";
    found.finds("listen.internal", "error", internal);
    found.finds("listen.admin", "ok", "is free");
}

/// The system accepts the connections, and nobody answers.
#[tokio::test]
async fn servers_that_do_not_answer_are_named_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let (postgres, redis, http) = (
        format!("postgres://user:hunter2@{address}/db?sslmode=disable"),
        format!("redis://:hunter2@{address}/"),
        format!("http://{address}"),
    );
    let env = with(&[
        ("DATABASE_URL", &postgres),
        ("REDIS_URL", &redis),
        ("SVIX_SERVER_URL", &http),
        ("LISTEN_ADDR", &address.to_string()),
    ]);
    let found = diagnose("api", &env).await;
    let late = "did not answer within 3s";
    found.finds("database.connection", "error", late);
    found.finds("redis.connection", "error", late);
    found.finds("svix.token", "error", "no answer in time");
    found.finds("listen.public", "error", "cannot listen on");
    drop(silent);
}
