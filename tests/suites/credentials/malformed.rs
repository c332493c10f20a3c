//! Anything but one whole credential of the right sort is 401, in the one shape.

use tests::client::{OPERATIONS, PORTAL_PATH};
use tests::{Deployment, Kind};

use crate::{OWN_PAGE, is_unauthorized, key, send};

tests::in_both_deployments! {
    what_is_nearly_a_credential_is_none_on_any_operation,
    a_partner_key_is_no_session_and_a_session_is_no_partner_key,
}

/// Values of `Authorization` that are each one step away from a valid one.
fn nearly(credential: &str) -> Vec<Vec<u8>> {
    let (body, last) = credential.split_at(credential.len() - 1);
    let text = [
        String::new(),
        "Bearer".into(),
        "Bearer ".into(),
        credential.to_owned(),
        format!("Bearer{credential}"),
        format!("Bearer:{credential}"),
        format!("Bearer\t{credential}"),
        format!("Basic {credential}"),
        format!("Token {credential}"),
        format!("Bearer Bearer {credential}"),
        format!("Bearer {credential} {credential}"),
        format!("Bearer {credential}, Bearer {credential}"),
        format!("Bearer \"{credential}\""),
        format!("Bearer {body}"),
        format!("Bearer {}", &credential[1..]),
        format!("Bearer {credential}0"),
        format!("Bearer {credential}="),
        format!("Bearer {body}g"),
        format!("Bearer {body}\u{ff10}"), // a digit, but not ASCII
        format!("Bearer {body}%3{last}"),
        format!("Bearer {}", credential.to_uppercase()),
        format!("Bearer {}", credential.replace("_live_", "_test_")),
        format!("Bearer {}", &credential.replace("_live_", "_LIVE_")),
        format!("Bearer {}", "a".repeat(10_000)),
        format!("Bearer {credential}{}", "0".repeat(10_000)),
    ];
    let mut values: Vec<Vec<u8>> = text.map(String::into_bytes).into();
    values.push([b"Bearer ", credential.as_bytes(), b"\xff"].concat());
    values.push(b"\xff\xfe\xfd".to_vec());
    values.retain(|value| *value != format!("Bearer {credential}").into_bytes());
    values
}

async fn what_is_nearly_a_credential_is_none_on_any_operation(kind: Kind) {
    let deployment = Deployment::start(kind).await;
    let client = &deployment.client;
    let (session, key) = key(&deployment).await;
    for (method, path) in OPERATIONS {
        let credential = if path == PORTAL_PATH { &key } else { &session };
        is_unauthorized(&send(client, method.clone(), path, &[]).await);
        let values = nearly(credential);
        assert!(values.len() >= 25);
        for value in values {
            is_unauthorized(&client.authorized(method.clone(), path, &value).await);
        }
        let valid = ("authorization", &*format!("Bearer {credential}"));
        for twice in [[valid, valid], [valid, ("authorization", "Basic eDp5")]] {
            is_unauthorized(&send(client, method.clone(), path, &twice).await);
        }
    }

    // Nothing happened, and any case of the scheme is good.
    let shown = client.show(&session).await;
    assert_eq!(shown.text("prefix"), key[..24]);
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let value = format!("{scheme} {key}");
        let answer = client.authorized(reqwest::Method::GET, PORTAL_PATH, value.as_bytes());
        assert_ne!(answer.await.status, 401);
    }
}

async fn a_partner_key_is_no_session_and_a_session_is_no_partner_key(kind: Kind) {
    let deployment = Deployment::start(kind).await;
    let client = &deployment.client;
    let (session, key) = key(&deployment).await;
    // Even if a login were to use such a token, it would not be one.
    let (now, hash) = (
        shared::clock::Clock::system().now(),
        shared::secret_hash::SecretHash::of(key.as_bytes()),
    );
    let account = shared::ids::AccountId::parse("forger").unwrap();
    let later = now + std::time::Duration::from_hours(1);
    let stored = deployment.store.insert_session(&hash, &account, now, later);
    stored.await.unwrap();

    for (method, path) in OPERATIONS {
        let wrong = if path == PORTAL_PATH { &session } else { &key };
        let bearer = format!("Bearer {wrong}");
        let cookie = format!("session={wrong}");
        for credential in [("authorization", &*bearer), ("cookie", &*cookie)] {
            let answer = send(client, method.clone(), path, &[credential, OWN_PAGE]).await;
            is_unauthorized(&answer);
        }
    }
    let headers = [("cookie", &*format!("session={key}")), OWN_PAGE];
    let answer = send(client, reqwest::Method::GET, PORTAL_PATH, &headers).await;
    is_unauthorized(&answer);
    assert_eq!(client.show(&session).await.text("prefix"), key[..24]);
}
