//! The connections to PostgreSQL that an api keeps.

use reqwest::Method;
use tests::process::free_port;
use tests::{Client, Deployment, Plan};

use super::TOKEN;

/// An api keeps four connections for its most frequent statements. All others share the fifth.
#[tokio::test]
async fn an_api_with_the_fewest_connections_performs_every_operation() {
    let internal = format!("127.0.0.1:{}", free_port());
    let env = vec![
        ("DATABASE_MAX_CONNECTIONS", "5".to_owned()),
        ("INTERNAL_ADDR", internal.clone()),
        ("INTERNAL_TOKEN", TOKEN.to_owned()),
    ];
    let deployment = Deployment::planned(Plan {
        env,
        ..Plan::default()
    })
    .await;
    let (client, session) = (&deployment.client, &deployment.session_of("jo").await);
    let internal = Client::new(&format!("http://{internal}")).await;

    let created = client.create(session).await;
    assert_eq!(created.status, 201);
    let key = created.text("api_key");
    assert_eq!(client.show(session).await.status, 200);
    let bearer = format!("Bearer {key}");
    let check = internal
        .authorized(Method::GET, "/internal/v1/forward-auth", bearer.as_bytes())
        .await;
    assert_eq!(check.status, 200);
    // There is no worker, so that the portal has to look for the application.
    client.portal(&key).await.is_error(404, "not_found");
    assert_eq!(client.start_rotation(session, Some(3600)).await.status, 201);
    assert_eq!(client.cancel_rotation(session).await.status, 200);
    assert_eq!(client.revoke(session).await.status, 200);
}
