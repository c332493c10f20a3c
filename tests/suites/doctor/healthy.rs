//! A service without mistakes.

use tests::github::{ReportKey, published};
use tests::process::binary;
use tests::{Deployment, IdentityProvider, Plan, Role, SigningKey};
use tokio::process::Command;

use super::{diagnose, output, with};

#[tokio::test]
async fn a_healthy_service_has_no_finding() {
    let key = SigningKey::es256("k");
    let provider = IdentityProvider::start(&[&key]).await;
    let github = IdentityProvider::start(&[]).await;
    github.publish_document(&published(&[&ReportKey::new("a")]));
    let env = [
        ("MAX_CONNECTIONS", "100".to_owned()),
        ("SESSION_MODE", "jwt".to_owned()),
        ("SESSION_JWKS_URL", provider.url()),
        ("SESSION_ISSUER", "https://id.example.com/".to_owned()),
        ("SESSION_AUDIENCE", "partner-keys".to_owned()),
        ("GITHUB_SECRET_SCANNING", "on".to_owned()),
        ("GITHUB_KEYS_URL", github.url()),
    ];
    let plan = Plan {
        env: env.into(),
        ..Plan::default()
    };
    let deployment = Deployment::planned(plan).await;
    for (role, program) in [(Role::Api, "api"), (Role::Worker, "worker")] {
        // The api of the deployment runs, at the address that the doctor tries.
        let mut env = deployment.env_for(role);
        let address = deployment.client.base().strip_prefix("http://").unwrap();
        env.push(("LISTEN_ADDR", address.to_owned()));
        env.push(("ADMIN_ADDR", "127.0.0.1:0".to_owned()));
        let found = diagnose(program, &env).await;
        assert_eq!(found.report["status"], "ok", "{:#}", found.report);
        assert_eq!((found.code, &found.report["program"]), (0, &program.into()));
        for check in [
            "settings",
            "database.name",
            "database.connection",
            "database.pooler",
            "database.tls",
            "database.version",
            "database.writable",
            "database.clock",
            "database.connections",
            "database.schema",
            "database.user",
            "database.privileges",
            "redis.name",
            "redis.connection",
            "redis.tls",
            "redis.version",
            "redis.mode",
            "redis.eviction",
            "redis.clock",
            "redis.permissions",
            "svix.region",
            "svix.name",
            "svix.token",
            "listen.admin",
            "descriptors",
        ] {
            found.finds(check, "ok", "");
        }
        if role == Role::Api {
            found.finds("listen.public", "ok", "is served by a partner-keys process");
            found.finds("identity_provider.name", "ok", "127.0.0.1");
            found.finds("identity_provider.keys", "ok", "publishes 1 keys");
            found.finds("github.name", "ok", "127.0.0.1");
            found.finds("github.keys", "ok", "publishes 1 keys");
        }
        let findings = found.report["findings"].as_array().unwrap();
        assert!(findings.iter().all(|finding| finding["status"] == "ok"));

        // For people: one line each, aligned.
        let mut command = Command::new(binary(program));
        command.arg("doctor").env_clear().envs(env);
        let (code, text) = output(command).await;
        assert_eq!(code, 0, "{text}");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), findings.len() + 2, "{text}");
        assert!(lines[0].starts_with("ok       settings  "), "{text}");
        assert!(
            text.ends_with("0 skipped; errors: 0, warnings: 0\n"),
            "{text}"
        );
    }
    // It has changed nothing, and nobody was woken.
    let pool = deployment.in_production().database.pool().await;
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM api_key_events")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(rows, 0);
    assert!(deployment.svix.applications().is_empty());
}

#[tokio::test]
async fn every_invalid_setting_is_a_finding_and_the_rest_is_checked() {
    let mut env = with(&[
        ("DATABASE_URL", "hunter2"),
        ("RUST_LOG", "a=b=c"),
        ("DATABASE_MAX_CONNECTIONS", "4"),
        ("WORKER_CONCURRENCY", "many"),
    ]);
    env.retain(|(name, _)| *name != "SVIX_TOKEN");
    let (api, worker) = tokio::join!(diagnose("api", &env), diagnose("worker", &env));
    for found in [&api, &worker] {
        assert_eq!(found.code, 2);
        found.finds(
            "settings",
            "error",
            "DATABASE_URL is invalid (the value is not shown)",
        );
        found.finds("settings", "error", "RUST_LOG is \"a=b=c\"");
        found.finds("settings", "error", "DATABASE_MAX_CONNECTIONS is \"4\"");
        found.finds("settings", "error", "SVIX_TOKEN is not set");
        found.finds("database.connection", "skipped", "");
        found.finds("svix.token", "skipped", "");
        found.finds("redis.connection", "error", "could not use 127.0.0.1:1");
    }
    worker.finds("settings", "error", "WORKER_CONCURRENCY is \"many\"");
    api.finds("listen.public", "ok", "is free");
}
