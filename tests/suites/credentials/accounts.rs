//! Accounts, whatever an identity provider names them, and the walls between.

use std::collections::HashSet;

use rstest::rstest;
use tests::Deployment;
use tests::Kind::{self, Embedded, Production};

use super::SOON;

#[rstest]
#[tokio::test]
async fn any_text_names_an_account_and_no_two_texts_the_same(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = Deployment::start(kind).await;
    let client = &deployment.client;
    let (long, longer) = ("a".repeat(255), format!("{}b", "a".repeat(254)));
    let wide = "🦀".repeat(255);
    let accounts = [
        "auth0|61237f5a",
        "auth0-61237f5a",
        "AUTH0|61237f5a",
        "jo+test@example.org",
        "7",
        "07",
        &long,
        &longer,
        &wide,
        "é",
        "e\u{301}",
        "ß",
        "ss",
        "日本語",
        "👩‍👩‍👧‍👦",
        " ",
        "  ",
        "a\tb",
        "a\nb",
        "'; DROP TABLE api_partners; --",
        "%",
        "_",
        "\\",
        "\"",
        "app_1",
        "null",
        "\u{feff}",
        "\u{202e}x",
    ];
    let mut prefixes = HashSet::new();
    let mut opened = Vec::new();
    for account in accounts {
        let session = deployment.session_of(account).await;
        let created = client.create(&session).await;
        assert_eq!(created.status, 201, "{account:?}: {created:?}");
        assert!(prefixes.insert(created.text("prefix")));
        assert_eq!(deployment.rows(account).await.len(), 1, "{account:?}");
        opened.push((account, session, created.text("api_key")));
    }
    for (account, session, key) in &opened {
        let shown = deployment.provisioned(session, SOON).await;
        assert_eq!(shown["prefix"], key[..24], "{account:?}");
        assert_eq!(client.portal(key).await.status, 200, "{account:?}");
    }
    // Each has an application of its own, which its key alone opens.
    assert_eq!(deployment.svix.applications().len(), accounts.len());
    let named: HashSet<_> = deployment
        .svix
        .portal_sessions()
        .into_iter()
        .map(|s| s.application)
        .collect();
    assert_eq!(named.len(), accounts.len());
}

#[rstest]
#[tokio::test]
async fn one_account_never_sees_or_touches_the_key_of_another(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = Deployment::start(kind).await;
    let client = &deployment.client;
    let (mine, other) = (
        deployment.session_of("jo").await,
        deployment.session_of("Jo").await,
    );
    let key = client.create(&mine).await.text("api_key");
    deployment.provisioned(&mine, SOON).await;

    assert_eq!(client.show(&other).await.text, r#"{"has_key":false}"#);
    assert_eq!(client.revoke(&other).await.status, 200);
    let others = client.create(&other).await;
    assert_eq!(others.status, 201, "{others:?}");
    deployment.provisioned(&other, SOON).await;
    assert_eq!(client.revoke(&other).await.status, 200);
    client
        .portal(&others.text("api_key"))
        .await
        .is_error(401, "unauthorized");

    // A second session of the account sees the same.
    for session in [&mine, &deployment.session_of("jo").await] {
        assert_eq!(client.show(session).await.text("prefix"), key[..24]);
    }
    assert_eq!(client.portal(&key).await.status, 200);
    let uid = |account| {
        let account = shared::ids::AccountId::parse(account).unwrap();
        shared::svix::application_uid("", &account)
    };
    let opened = deployment.svix.portal_sessions().pop().unwrap();
    assert_eq!(opened.uid, Some(uid("jo")));
}
