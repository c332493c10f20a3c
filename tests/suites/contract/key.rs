//! The key is created, shown and revoked.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use rstest::rstest;
use shared::clock::{Clock, Timestamp};
use shared::secret_hash::SecretHash;
use svix_simulator::{Fault, Pattern};
use tests::Kind::{self, Embedded, Production};
use tests::{Answer, Deployment};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{SOON, members, ready_key};

#[rstest]
#[tokio::test]
async fn a_key_is_created_and_shown_in_exactly_these_shapes(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = Deployment::start(kind).await;
    let (client, session) = (&deployment.client, deployment.session().await);
    let is_json = |answer: &Answer| {
        let content_type = answer.header("content-type").unwrap();
        assert_eq!(content_type, "application/json; charset=utf-8");
    };

    let none = client.show(&session).await;
    assert_eq!(
        (none.status.as_u16(), &*none.text),
        (200, r#"{"has_key":false}"#)
    );
    is_json(&none);

    let created = client.create(&session).await;
    assert_eq!(created.status, 201);
    is_json(&created);
    assert_eq!(
        members(&created.body),
        HashSet::from(["api_key", "prefix", "message"])
    );
    let key = created.text("api_key");
    let secret = key.strip_prefix("pk_live_").unwrap();
    assert_eq!(secret.len(), 64);
    assert!(
        secret
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')),
        "{key}"
    );
    assert_eq!(created.text("prefix"), key[..24]);
    assert_eq!(
        created.text("message"),
        "Save this key — it will not be shown again."
    );

    let shown = client.show(&session).await;
    assert_eq!(shown.status, 200);
    is_json(&shown);
    assert_eq!(shown.body["has_key"], true);
    assert_eq!(shown.body["prefix"], key[..24]);
    assert!(shown.body["has_webhook"].is_boolean());
    let known = [
        "has_key",
        "prefix",
        "has_webhook",
        "created_at",
        "last_used_at",
        "webhook",
    ];
    assert!(
        members(&shown.body).is_subset(&HashSet::from(known)),
        "{shown:?}"
    );
    assert!(!shown.text.contains(&key[24..]), "the key is shown again");

    let created_at = OffsetDateTime::parse(&shown.text("created_at"), &Rfc3339).unwrap();
    assert!(created_at.offset().is_utc() && shown.text("created_at").ends_with('Z'));
    let age = Clock::system().now().since(Timestamp::from(created_at));
    assert!(age < SOON, "created {age:?} ago");
}

#[rstest]
#[tokio::test]
async fn a_second_key_is_refused_and_the_first_keeps_working(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = Deployment::start(kind).await;
    let client = &deployment.client;
    let (session, key) = ready_key(&deployment).await;

    let second = client.create(&session).await;
    second.is_error(409, "conflict");
    assert!(second.text.contains("Revoke it first"), "{second:?}");
    assert_eq!(client.show(&session).await.text("prefix"), key[..24]);
    assert_eq!(client.portal(&key).await.status, 200);
}

#[rstest]
#[tokio::test]
async fn a_revoked_key_stays_in_the_table_and_never_works_again(
    #[values(Production, Embedded)] kind: Kind,
) {
    let deployment = Deployment::start(kind).await;
    let client = &deployment.client;
    let session = deployment.session_of("jo@example.org").await;
    let revoke = || async {
        let revoked = client.revoke(&session).await;
        assert_eq!(
            (revoked.status.as_u16(), &*revoked.text),
            (200, r#"{"success":true}"#)
        );
    };

    revoke().await; // there is none yet
    let mut hashes = Vec::new();
    for _ in 0..2 {
        let key = client.create(&session).await.text("api_key");
        hashes.push((key.clone(), SecretHash::of(key.as_bytes())));
        assert_ne!(client.portal(&key).await.status, 401);
        revoke().await;
        revoke().await;
        for (key, _) in &hashes {
            client.portal(key).await.is_error(401, "unauthorized");
        }
    }

    let rows = deployment.rows("jo@example.org").await;
    assert_eq!(rows.len(), 2);
    for (row, (key, hash)) in rows.iter().zip(&hashes) {
        assert!(!row.is_active && row.was_revoked, "{row:?}");
        assert_eq!(row.key_hash, hash.as_bytes());
        assert_eq!(row.key_prefix, key[..24]);
    }
}

#[rstest]
#[tokio::test]
async fn a_key_is_created_at_once_whatever_svix_does(#[values(Production, Embedded)] kind: Kind) {
    let deployment = Deployment::start(kind).await;
    for fault in [
        Fault::Hang,
        Fault::Status(500),
        Fault::RateLimited,
        Fault::Reset,
        Fault::NotJson,
    ] {
        deployment.svix.clear_faults();
        deployment
            .svix
            .fault(Pattern::any(), fault.clone())
            .until_cleared();
        let session = deployment.session().await;
        let started = Instant::now();
        let created = deployment.client.create(&session).await;
        assert_eq!(created.status, 201, "{fault:?}: {created:?}");
        // A call to Svix that hangs takes 10 s.
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "{fault:?} delayed it"
        );
        assert_eq!(
            deployment.client.show(&session).await.body["has_webhook"],
            false
        );
    }
}
