//! Tokens that are nearly sessions.

use aws_lc_rs::hmac;
use serde_json::{Value, json};
use shared::session::SessionToken;
use tests::signing_key::{base64url, unsigned};
use tests::{Deployment, IdentityProvider, SigningKey};

use super::{claims, claims_with, deployed, now, settings};

/// A provider with a key of each sort, and an api that takes its tokens.
struct JwtDeployment {
    provider: IdentityProvider,
    deployment: Deployment,
    rsa: SigningKey,
    ec: SigningKey,
    ed: SigningKey,
}

impl JwtDeployment {
    async fn start() -> Self {
        let keys = [
            SigningKey::rsa("rsa"),
            SigningKey::es256("ec"),
            SigningKey::ed25519("ed"),
        ];
        let provider = IdentityProvider::start(&keys.each_ref()).await;
        let deployment = deployed(settings(&provider), 0).await;
        let [rsa, ec, ed] = keys;
        Self {
            provider,
            deployment,
            rsa,
            ec,
            ed,
        }
    }

    fn keys(&self) -> [&SigningKey; 3] {
        [&self.rsa, &self.ec, &self.ed]
    }

    async fn takes(&self, token: &str) -> bool {
        let answer = self.deployment.client.show(token).await;
        if answer.status != 200 {
            answer.is_error(401, "unauthorized");
        }
        answer.status == 200
    }

    async fn refuses(&self, what: &str, token: &str) {
        assert!(!self.takes(token).await, "{what}");
    }
}

#[tokio::test]
async fn what_a_token_says_must_be_right_and_signed_by_the_key_that_it_names() {
    let deployed = JwtDeployment::start().await;
    for key in deployed.keys() {
        assert!(deployed.takes(&key.token(&claims("jo"))).await);
        what_it_says(&deployed, key).await;
        how_it_is_signed(&deployed, key).await;
        what_its_header_says(&deployed, key).await;
    }
    which_key_it_names(&deployed).await;
    // Nothing but the names of keys made anybody ask the provider again.
    assert!(
        deployed.provider.calls() <= 2,
        "{}",
        deployed.provider.calls()
    );
}

async fn what_it_says(deployed: &JwtDeployment, key: &SigningKey) {
    let good = [
        json!({"exp": now() - 20}),
        json!({"nbf": now() + 20}),
        json!({"nbf": 0, "iat": now() + 20, "jti": [7]}),
        json!({"aud": ["a", "partner-keys"]}),
        json!({"sub": "é".repeat(255), "admin": {"deep": [null]}}),
    ];
    for changes in good {
        let token = key.token(&claims_with(&changes));
        assert!(deployed.takes(&token).await, "{changes}");
    }
    let bad = [
        json!({"exp": 4.0e9}),
        json!({"iat": now() + 60}),
        json!({"cnf": {"jkt": "a"}}),
        json!({"events": {}}),
        json!({"exp": now() - 31}),
        json!({"exp": null}),
        json!({"exp": (now() + 60).to_string()}),
        json!({"nbf": now() + 60}),
        json!({"nbf": "now"}),
        json!({"iss": null}),
        json!({"iss": "https://id.example.com"}),
        json!({"iss": "https://evil.example/"}),
        json!({"iss": ["https://id.example.com/"]}),
        json!({"aud": null}),
        json!({"aud": "partner-keys-2"}),
        json!({"aud": []}),
        json!({"aud": ["a", "b"]}),
        json!({"sub": null}),
        json!({"sub": 7}),
        json!({"sub": ""}),
        json!({"sub": ["jo"]}),
        json!({"sub": "é".repeat(256)}),
        json!({"sub": "a\u{0}b"}),
    ];
    for changes in bad {
        let token = key.token(&claims_with(&changes));
        deployed.refuses(&changes.to_string(), &token).await;
    }
    for not_claims in [json!([]), json!("jo"), json!(null)] {
        deployed.refuses("no claims", &key.token(&not_claims)).await;
    }
}

async fn how_it_is_signed(deployed: &JwtDeployment, key: &SigningKey) {
    let token = key.token(&claims("jo"));
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else {
        panic!("three parts")
    };
    let others = key.token(&claims("other"));
    let others: Vec<&str> = others.split('.').collect();
    // Of the last character some bits are not used; the first is all signature.
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    let flipped = format!("{flipped}{}", &signature[1..]);
    let zeros = base64url(vec![0; signature.len() * 3 / 4]);
    for (what, token) in [
        (
            "another's claims",
            format!("{header}.{}.{signature}", others[1]),
        ),
        (
            "another's signature",
            format!("{header}.{payload}.{}", others[2]),
        ),
        ("a bit flipped", format!("{header}.{payload}.{flipped}")),
        (
            "a signature of zeros",
            format!("{header}.{payload}.{zeros}"),
        ),
        (
            "half a signature",
            format!("{header}.{payload}.{}", &signature[..40]),
        ),
        ("no signature", format!("{header}.{payload}.")),
        ("two parts", format!("{header}.{payload}")),
        ("one part", header.to_owned()),
        ("four parts", format!("{token}.{signature}")),
        (
            "five parts",
            format!("{header}.{payload}.{header}.{payload}.{signature}"),
        ),
        ("padding", format!("{token}=")),
        ("a quote", format!("\"{token}\"")),
        ("upper case", token.to_uppercase()),
        ("of a partner key's beginning", format!("pk_{token}")),
    ] {
        deployed.refuses(what, &token).await;
    }

    // No signature at all, by any name.
    for none in ["none", "None", "NONE", "nOnE", "", "null"] {
        let header = json!({"alg": none, "typ": "JWT", "kid": key.kid()});
        let message = unsigned(&header, &claims("jo"));
        deployed.refuses(none, &format!("{message}.")).await;
        deployed
            .refuses(none, &format!("{message}.{signature}"))
            .await;
    }
    // The public key for a shared secret.
    let jwk = key.jwk();
    let public = ["n", "x"].map(|member| jwk[member].as_str().unwrap_or("-").to_owned());
    let secrets = [
        jwk.to_string(),
        public.concat(),
        key.kid().to_owned(),
        String::new(),
    ];
    for secret in secrets {
        for kid in [json!(key.kid()), Value::Null] {
            let header = json!({"alg": "HS256", "typ": "JWT", "kid": kid});
            let message = unsigned(&header, &claims("jo"));
            let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
            let tag = base64url(hmac::sign(&secret, message.as_bytes()));
            deployed.refuses("HS256", &format!("{message}.{tag}")).await;
        }
    }
}

/// A header that leads astray. What it names is never looked at.
async fn what_its_header_says(deployed: &JwtDeployment, key: &SigningKey) {
    let (thief, theirs) = (
        SigningKey::es256(key.kid()),
        IdentityProvider::start(&[]).await,
    );
    theirs.publish(&[&thief]);
    for changes in [
        json!({"jwk": thief.jwk()}),
        json!({"jku": theirs.url()}),
        json!({"jku": theirs.url(), "kid": null}),
        json!({"x5u": theirs.url()}),
    ] {
        let mut header = thief.header();
        for (name, value) in changes.as_object().unwrap() {
            header[name] = value.clone();
        }
        let token = thief.token_with(&header, &claims("jo"));
        deployed.refuses(&changes.to_string(), &token).await;
    }
    assert_eq!(theirs.calls(), 0);
    for changes in [
        json!({"crit": ["exp"]}),
        json!({"crit": []}),
        json!({"typ": "logout+jwt"}),
        json!({"typ": "dpop+jwt"}),
        json!({"kid": [key.kid()]}),
    ] {
        let mut header = key.header();
        for (name, value) in changes.as_object().unwrap() {
            header[name] = value.clone();
        }
        let token = key.token_with(&header, &claims("jo"));
        deployed.refuses(&changes.to_string(), &token).await;
    }
}

async fn which_key_it_names(deployed: &JwtDeployment) {
    for key in deployed.keys() {
        for other in deployed.keys() {
            if key.kid() == other.kid() {
                continue;
            }
            // Its own algorithm with another's name, and the reverse.
            let header = json!({"alg": key.algorithm(), "kid": other.kid()});
            deployed
                .refuses("another's name", &key.token_with(&header, &claims("jo")))
                .await;
            let header = json!({"alg": other.algorithm(), "kid": key.kid()});
            deployed
                .refuses(
                    "another's algorithm",
                    &key.token_with(&header, &claims("jo")),
                )
                .await;
        }
        let header = json!({"alg": key.algorithm()});
        deployed
            .refuses(
                "no name of several",
                &key.token_with(&header, &claims("jo")),
            )
            .await;
        for kid in [
            "",
            "nobody",
            "../../etc/passwd",
            "' OR 1=1 --",
            &"k".repeat(2000),
        ] {
            let header = json!({"alg": key.algorithm(), "kid": kid});
            deployed
                .refuses(kid, &key.token_with(&header, &claims("jo")))
                .await;
        }
    }
    for alg in [
        "RS384", "RS512", "PS256", "ES384", "ES512", "ES256K", "HS512", "Ed448", "dir",
    ] {
        for key in deployed.keys() {
            let header = json!({"alg": alg, "kid": key.kid()});
            deployed
                .refuses(alg, &key.token_with(&header, &claims("jo")))
                .await;
        }
    }
}

#[tokio::test]
async fn a_token_that_names_no_key_is_signed_by_the_only_one() {
    let key = SigningKey::ed25519("only");
    let provider = IdentityProvider::start(&[&key]).await;
    let deployment = deployed(settings(&provider), 0).await;
    let nameless = json!({"alg": "EdDSA"});
    let token = key.token_with(&nameless, &claims("jo"));
    assert_eq!(deployment.client.show(&token).await.status, 200);
    let thief = SigningKey::ed25519("only").token_with(&nameless, &claims("jo"));
    deployment
        .client
        .show(&thief)
        .await
        .is_error(401, "unauthorized");
}

#[tokio::test]
async fn a_token_of_eight_kilobytes_is_taken_and_a_longer_one_is_not() {
    let key = SigningKey::es256("one");
    let provider = IdentityProvider::start(&[&key]).await;
    let deployment = deployed(settings(&provider), 0).await;
    let sized = |length: usize| {
        let with = |filler: usize| key.token(&claims_with(&json!({"groups": "g".repeat(filler)})));
        // Three bytes of claims are four of the token.
        let filler = (length - with(0).len()) * 3 / 4;
        (filler.saturating_sub(3)..=filler + 3)
            .map(with)
            .find(|token| token.len() >= length)
            .unwrap()
    };
    let max = SessionToken::MAX_LENGTH;
    let longest = sized(max - 1);
    assert!(
        (max - 1..=max).contains(&longest.len()),
        "{}",
        longest.len()
    );
    assert_eq!(deployment.client.show(&longest).await.status, 200);
    for length in [max + 1, max + 100, 10_000, 60_000] {
        let answer = deployment.client.show(&sized(length)).await;
        answer.is_error(401, "unauthorized");
    }
}

#[tokio::test]
async fn a_session_of_the_table_is_none_and_a_token_is_none_where_the_table_counts() {
    let key = SigningKey::es256("one");
    let provider = IdentityProvider::start(&[&key]).await;
    let deployment = deployed(settings(&provider), 0).await;
    let session = deployment.session().await;
    deployment
        .client
        .show(&session)
        .await
        .is_error(401, "unauthorized");

    let by_table = deployed(Vec::new(), 0).await;
    let token = key.token(&claims("jo"));
    by_table
        .client
        .show(&token)
        .await
        .is_error(401, "unauthorized");
}
