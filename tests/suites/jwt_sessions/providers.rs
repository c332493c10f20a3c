//! Tokens as the well-known providers issue them.

use serde_json::{Value, json};
use tests::{IdentityProvider, SigningKey};

use super::{deployed, now};

/// A provider's token, and what it takes to have it as a session.
struct Shape {
    name: &'static str,
    key: SigningKey,
    header: Value,
    claims: Value,
    audience: &'static str,
    /// The claim that names the account, if not `sub`.
    account_claim: Option<&'static str>,
    account: &'static str,
}

fn supabase() -> Shape {
    let key = SigningKey::es256("b8f0b0b8-2f6c-4a52-9c67-3c1e1cf5a8ab");
    let header = json!({"alg": "ES256", "kid": key.kid(), "typ": "JWT"});
    let id = "5f3c1a52-7f6b-4d0e-9a55-0b7c2f1c9a10";
    let claims = json!({
        "iss": "https://abcdefghijklmnopqrst.supabase.co/auth/v1",
        "sub": id, "aud": "authenticated", "exp": now() + 3600, "iat": now(),
        "email": "jo@example.org", "phone": "",
        "app_metadata": {"provider": "email", "providers": ["email"]},
        "user_metadata": {"email_verified": true},
        "role": "authenticated", "aal": "aal1", "is_anonymous": false,
        "amr": [{"method": "password", "timestamp": now()}],
        "session_id": "0d5c8d4e-57d4-4c35-b0a3-1f0b8e3c6f11",
    });
    Shape {
        name: "Supabase",
        key,
        header,
        claims,
        audience: "authenticated",
        account_claim: None,
        account: id,
    }
}

fn auth0() -> Shape {
    let key = SigningKey::rsa("NkFCNEE1NDFDNTQ5RTQ5");
    let header = json!({"alg": "RS256", "typ": "at+jwt", "kid": key.kid()});
    let claims = json!({
        "iss": "https://tenant.eu.auth0.com/", "sub": "auth0|6123456789abcdef01234567",
        "aud": ["https://keys.example.com", "https://tenant.eu.auth0.com/userinfo"],
        "iat": now(), "exp": now() + 86_400, "azp": "QyYkqJ5nB2vXw8",
        "scope": "openid profile email", "jti": "u2Vn0Jc7", "client_id": "QyYkqJ5nB2vXw8",
        "permissions": [], "https://example.com/roles": ["partner"],
    });
    Shape {
        name: "Auth0",
        key,
        header,
        claims,
        audience: "https://keys.example.com",
        account_claim: None,
        account: "auth0|6123456789abcdef01234567",
    }
}

/// With the organization for the account, and an audience by customization.
fn clerk() -> Shape {
    let key = SigningKey::rsa("ins_2bQ0rZ9bQ0rZ9bQ0rZ9");
    let header = json!({"alg": "RS256", "cat": "cl_B7d4PD111AAA", "kid": key.kid(), "typ": "JWT"});
    let claims = json!({
        "azp": "https://dash.example.com", "exp": now() + 60, "fva": [3, -1], "iat": now(),
        "iss": "https://clerk.example.com", "nbf": now() - 10, "sid": "sess_2bQ0rZ",
        "sub": "user_2bQ0rZ", "sts": "active", "v": 2, "jti": "0d5c8d4e57d4",
        "o": {"id": "org_2bQ0rZ", "rol": "admin", "slg": "acme"},
        "aud": "partner-keys", "org_id": "org_2bQ0rZ",
    });
    Shape {
        name: "Clerk",
        key,
        header,
        claims,
        audience: "partner-keys",
        account_claim: Some("org_id"),
        account: "org_2bQ0rZ",
    }
}

fn keycloak(key: SigningKey) -> Shape {
    let header = json!({"alg": key.algorithm(), "typ": "JWT", "kid": key.kid()});
    let id = "f1b7c7f0-3c0e-4b11-8e0d-0d6a4f3d2c1b";
    // A realm with many roles: such tokens grow to some kilobytes.
    let roles: Vec<_> = (0..150)
        .map(|i| format!("application-role-{i:04}"))
        .collect();
    let claims = json!({
        "exp": now() + 300, "iat": now(), "auth_time": now() - 5, "jti": "onrtac:7d1c0a",
        "iss": "https://sso.example.com/realms/partners",
        "aud": ["partner-keys", "account"], "sub": id, "typ": "Bearer", "azp": "dashboard",
        "sid": "a5b1", "acr": "1", "allowed-origins": ["https://dash.example.com"],
        "realm_access": {"roles": roles},
        "resource_access": {"account": {"roles": ["manage-account", "view-profile"]}},
        "scope": "openid email profile", "email_verified": true, "preferred_username": "jo",
    });
    Shape {
        name: "Keycloak",
        key,
        header,
        claims,
        audience: "partner-keys",
        account_claim: None,
        account: id,
    }
}

/// A provider's set has more than the one key: others for other uses, with
/// members that are of no interest here.
fn document(key: &SigningKey) -> String {
    let mut own = key.jwk();
    own["x5c"] = json!(["MIICmzCCAYMCBgF"]);
    own["x5t"] = json!("hnA0lTXqFBw");
    own["x5t#S256"] = json!("eXJ5Qx0g");
    own["ext"] = json!(true);
    own["key_ops"] = json!(["verify"]);
    let encryption = json!({
        "kid": "enc", "kty": "RSA", "alg": "RSA-OAEP", "use": "enc", "n": "AQAB", "e": "AQAB",
    });
    let unheard_of = json!({"kid": "pq", "kty": "AKP", "alg": "ML-DSA-65", "pub": "AQAB"});
    json!({"keys": [encryption, unheard_of, own]}).to_string()
}

async fn signs_in(shape: Shape) {
    let provider = IdentityProvider::start(&[]).await;
    provider.publish_document(&document(&shape.key));
    let mut env = vec![
        ("SESSION_MODE", "jwt".into()),
        ("SESSION_JWKS_URL", provider.url()),
        (
            "SESSION_ISSUER",
            shape.claims["iss"].as_str().unwrap().into(),
        ),
        ("SESSION_AUDIENCE", shape.audience.into()),
    ];
    if let Some(claim) = shape.account_claim {
        env.push(("SESSION_ACCOUNT_CLAIM", claim.into()));
    }
    let deployment = deployed(env, 0).await;
    let token = shape.key.token_with(&shape.header, &shape.claims);
    let created = deployment.client.create(&token).await;
    assert_eq!(created.status, 201, "{}: {created:?}", shape.name);
    assert_eq!(deployment.rows(shape.account).await.len(), 1);

    // One for another service of the same provider is none.
    let mut elsewhere = shape.claims.clone();
    elsewhere["aud"] = json!(["https://other.example.com"]);
    let token = shape.key.token_with(&shape.header, &elsewhere);
    let refused = deployment.client.show(&token).await;
    refused.is_error(401, "unauthorized");
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
}

#[tokio::test]
async fn a_token_of_supabase_is_a_session() {
    signs_in(supabase()).await;
}

#[tokio::test]
async fn a_token_of_auth0_is_a_session() {
    signs_in(auth0()).await;
}

#[tokio::test]
async fn a_token_of_clerk_is_a_session_of_the_organization() {
    signs_in(clerk()).await;
}

#[tokio::test]
async fn a_token_of_keycloak_is_a_session_large_as_it_is() {
    let large = keycloak(SigningKey::rsa("WXJ3bGxGQnpXb0t1"));
    let token = large.key.token_with(&large.header, &large.claims);
    assert!(token.len() > 4096, "{}", token.len());
    signs_in(large).await;
}

#[tokio::test]
async fn a_token_of_keycloak_with_eddsa_is_a_session() {
    signs_in(keycloak(SigningKey::ed25519("b0p5bmVk"))).await;
}
