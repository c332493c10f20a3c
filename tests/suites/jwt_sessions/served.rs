//! The whole way, in real processes.

use std::time::Duration;

use reqwest::Method;
use rstest::rstest;
use serde_json::json;
use tests::Kind::{self, Embedded, Production};
use tests::browser::drive;
use tests::client::KEY_PATH;
use tests::{Deployment, IdentityProvider, Plan, PrivateCa, SigningKey};

use super::{claims, deployed, settings};

const SOON: Duration = Duration::from_secs(10);

async fn started(kind: Kind, env: Vec<(&'static str, String)>) -> Deployment {
    match kind {
        Production => deployed(env, 1).await,
        Embedded => Deployment::embedded(&env).await,
    }
}

/// And nothing of the tokens is in the log, whatever is logged.
#[rstest]
#[tokio::test]
async fn a_key_lives_and_dies_with_sessions_of_a_provider(
    #[values(Production, Embedded)] kind: Kind,
) {
    let keys = [
        SigningKey::rsa("a"),
        SigningKey::es256("b"),
        SigningKey::ed25519("c"),
    ];
    let provider = IdentityProvider::start(&keys.each_ref()).await;
    let trace = ("RUST_LOG", "trace".to_owned());
    let env = [settings(&provider), vec![trace]].concat();
    let deployment = started(kind, env).await;
    let client = &deployment.client;

    let mut tokens = Vec::new();
    for key in &keys {
        let account = format!("auth0|{}", key.kid());
        let (token, again) = (key.token(&claims(&account)), key.token(&claims(&account)));
        let created = client.create(&token).await;
        assert_eq!(created.status, 201, "{created:?}");
        client.create(&again).await.is_error(409, "conflict");
        deployment.provisioned(&again, SOON).await;
        let partner_key = created.text("api_key");
        assert_eq!(client.portal(&partner_key).await.status, 200);
        // Neither is the other.
        client.portal(&token).await.is_error(401, "unauthorized");
        client
            .show(&partner_key)
            .await
            .is_error(401, "unauthorized");
        assert_eq!(client.revoke(&token).await.status, 200);
        client
            .portal(&partner_key)
            .await
            .is_error(401, "unauthorized");
        let forged = format!("{token}A");
        client.show(&forged).await.is_error(401, "unauthorized");
        tokens.extend([token, again, forged]);
    }
    // `standalone` shows no session of its own: it would be none.
    assert!(!deployment.server.output().contains("session_"));
    let log = deployment.server.log();
    assert!(log.contains("its signature is invalid"), "it says why");
    for token in tokens {
        for part in token.split('.').skip(1) {
            assert!(!log.contains(part), "{part}");
        }
    }
}

#[tokio::test]
async fn a_token_in_the_cookie_is_bound_to_our_own_pages_as_any_cookie() {
    let key = SigningKey::es256("one");
    let provider = IdentityProvider::start(&[&key]).await;
    let env = [
        settings(&provider),
        vec![("SESSION_COOKIE", "__session".into())],
    ]
    .concat();
    let deployment = deployed(env, 0).await;
    let cookie = format!("__session={}", key.token(&claims("jo")));
    let send = async |method: Method, headers: &[(&str, &str)]| {
        let with = |request: reqwest::RequestBuilder| {
            let request = request.header("cookie", &cookie);
            headers.iter().fold(request, |request, (name, value)| {
                request.header(*name, *value)
            })
        };
        deployment.client.send(method, KEY_PATH, with).await
    };
    assert_eq!(send(Method::GET, &[]).await.status, 200);
    for foreign in [
        &[][..],
        &[("sec-fetch-site", "cross-site")],
        &[("origin", "https://evil.example")],
    ] {
        send(Method::POST, foreign).await.is_error(403, "forbidden");
        send(Method::DELETE, foreign)
            .await
            .is_error(403, "forbidden");
    }
    let own = [("sec-fetch-site", "same-origin")];
    assert_eq!(send(Method::POST, &own).await.status, 201);
    assert_eq!(send(Method::DELETE, &own).await.status, 200);
    // A Bearer token beside it counts, and only it.
    let bad = [("authorization", "Bearer x"), own[0]];
    send(Method::GET, &bad).await.is_error(401, "unauthorized");
}

#[tokio::test]
async fn a_new_key_of_the_provider_works_at_once_in_a_running_api() {
    let (old, new) = (SigningKey::rsa("old"), SigningKey::es256("new"));
    let provider = IdentityProvider::start(&[&old]).await;
    let deployment = deployed(settings(&provider), 0).await;
    assert_eq!(
        deployment
            .client
            .show(&old.token(&claims("jo")))
            .await
            .status,
        200
    );
    provider.publish(&[&new]);
    assert_eq!(
        deployment
            .client
            .show(&new.token(&claims("jo")))
            .await
            .status,
        200
    );
    let old = deployment.client.show(&old.token(&claims("jo"))).await;
    old.is_error(401, "unauthorized");
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn the_keys_come_over_tls_from_a_provider_of_a_private_ca_and_from_no_other() {
    let (ca, dir) = (PrivateCa::new(), tests::scratch());
    let trusted = (
        "SSL_CERT_FILE",
        ca.write(dir.path()).to_str().unwrap().to_owned(),
    );
    let key = SigningKey::ed25519("one");
    let token = key.token(&claims("jo"));
    for (issuer, host, trust) in [
        (&ca, "127.0.0.1", true),
        (&ca, "elsewhere.example", false),
        (&PrivateCa::new(), "127.0.0.1", false),
    ] {
        let (certificate, private) = issuer.issue(host);
        let provider = IdentityProvider::start_tls(&certificate, &private, &[&key]).await;
        let env = [settings(&provider), vec![trusted.clone()]].concat();
        let mut deployment = Deployment::planned(Plan {
            env,
            ..Plan::default()
        })
        .await;
        let shown = deployment.client.show(&token).await;
        if trust {
            assert_eq!(shown.body, json!({"has_key": false}));
        } else {
            shown.is_error(503, "unavailable");
            let line = deployment.server.logged("keys could not be fetched").await;
            assert!(line.contains("certificate"), "{line}");
            assert_eq!(provider.calls(), 0);
        }
    }
}

#[tokio::test]
async fn a_provider_elsewhere_is_reached_through_the_proxy_and_one_on_this_machine_is_not() {
    let key = SigningKey::es256("one");
    let (provider, proxy) = (
        IdentityProvider::start(&[&key]).await,
        IdentityProvider::start(&[]).await,
    );
    let by_proxy = ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"];
    let by_proxy = by_proxy.map(|variable| (variable, proxy.url()));
    let env = [settings(&provider), by_proxy.to_vec()].concat();
    let deployment = deployed(env.clone(), 0).await;
    let shown = deployment.client.show(&key.token(&claims("jo"))).await;
    assert_eq!(shown.status, 200);
    assert_eq!(proxy.calls(), 0);

    let elsewhere = ("SESSION_JWKS_URL", "https://id.example.com/jwks".to_owned());
    let _deployment = deployed([env, vec![elsewhere]].concat(), 0).await;
    proxy.called(1).await;
}

/// The page knows nothing of what its cookie is.
#[tokio::test]
async fn the_dashboard_page_works_with_a_token_in_the_cookie() {
    let key = SigningKey::es256("a");
    let provider = IdentityProvider::start(&[&key]).await;
    let deployment = started(Embedded, settings(&provider)).await;
    let session = json!({ "session": key.token(&claims("jo")) });
    drive("a_key_is_shown_once_and_then_gone", &deployment, session).await;
}
