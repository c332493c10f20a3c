//! The time of a key's last use, which no check waits for.

use reqwest::Method;
use tests::eventually;

use super::{SOON, deployment, key};

const PATH: &str = "/internal/v1/forward-auth";

#[tokio::test]
async fn a_check_is_recorded_as_a_use_within_seconds() {
    let (deployment, internal) = deployment().await;
    let (session, key) = key(&deployment, "jo").await;
    assert!(deployment.client.show(&session).await.body["last_used_at"].is_null());
    let value = format!("Bearer {key}");
    assert_eq!(
        internal
            .authorized(Method::GET, PATH, value.as_bytes())
            .await
            .status,
        200
    );
    let shown = || async { deployment.client.show(&session).await.body };
    eventually("the use is recorded", SOON, shown, |key| {
        key["last_used_at"].is_string()
    })
    .await;
}

/// The marks wait, and are written once it is possible.
#[tokio::test]
async fn a_locked_row_delays_no_check() {
    let (deployment, internal) = deployment().await;
    let (session, key) = key(&deployment, "jo").await;
    let pool = deployment.in_production().database.pool().await;
    let mut lock = pool.begin().await.unwrap();
    let rows = sqlx::query("SELECT id FROM api_partners FOR UPDATE");
    rows.fetch_all(&mut *lock).await.unwrap();
    let value = format!("Bearer {key}");
    for _ in 0..20 {
        let answer = internal
            .authorized(Method::GET, PATH, value.as_bytes())
            .await;
        assert_eq!(answer.status, 200);
    }
    let mut deployment = deployment;
    deployment
        .server
        .logged("the uses of keys are not written yet")
        .await;
    lock.rollback().await.unwrap();
    let shown = || async { deployment.client.show(&session).await.body };
    eventually("the use is recorded", SOON, shown, |key| {
        key["last_used_at"].is_string()
    })
    .await;
}

/// The last marks are written before the process ends.
#[tokio::test]
async fn a_use_just_before_the_end_is_recorded() {
    let (mut deployment, internal) = deployment().await;
    let (_, key) = key(&deployment, "jo").await;
    let value = format!("Bearer {key}");
    assert_eq!(
        internal
            .authorized(Method::GET, PATH, value.as_bytes())
            .await
            .status,
        200
    );
    deployment.server.signal("TERM");
    assert_eq!(deployment.server.ended().await.code(), Some(0));
    let pool = deployment.in_production().database.pool().await;
    let used =
        sqlx::query_scalar("SELECT count(*) FROM api_partners WHERE last_used_at IS NOT NULL");
    let used: i64 = used.fetch_one(&pool).await.unwrap();
    assert_eq!(used, 1);
}
