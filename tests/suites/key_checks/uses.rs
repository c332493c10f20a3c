//! The time of a key's last use, which no check waits for.

use reqwest::Method;
use tests::eventually;

use super::introspection::introspect_many;
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

/// Marks are written 5,000 at a time, in the order of the keys' ids: one statement for all that
/// an outage has left would take too long, and would fail again.
#[tokio::test]
async fn marks_of_one_statement_are_written_although_those_of_the_next_cannot_be() {
    const KEYS: usize = 5_100;
    let (deployment, internal) = deployment().await;
    let pool = deployment.in_production().database.pool().await;
    let insert = "
        INSERT INTO api_partners (id, account_id, key_hash, key_prefix, created_at, next_attempt_at)
        SELECT lpad(to_hex(i), 32, '0')::uuid, 'account-' || i,
               sha256(('pk_live_' || lpad(to_hex(i), 64, '0'))::bytea), 'pk_live_0000000000000000',
               now(), now() + interval '1 day'
        FROM generate_series(1, $1) AS i";
    let count = i32::try_from(KEYS).unwrap();
    sqlx::query(insert)
        .bind(count)
        .execute(&pool)
        .await
        .unwrap();
    let used = || async {
        let used =
            sqlx::query_scalar("SELECT count(*) FROM api_partners WHERE last_used_at IS NOT NULL");
        used.fetch_one(&pool).await.unwrap()
    };

    // The key with the highest id is used first, so that each write that comes before there are
    // 5,000 marks has it too, and fails.
    let mut lock = pool.begin().await.unwrap();
    let last = sqlx::query("SELECT id FROM api_partners ORDER BY id DESC LIMIT 1 FOR UPDATE");
    last.fetch_one(&mut *lock).await.unwrap();
    let keys: Vec<String> = (1..=KEYS)
        .rev()
        .map(|i| format!("pk_live_{i:064x}"))
        .collect();
    for keys in keys.chunks(100) {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let answer = introspect_many(&internal, &keys).await;
        let active = answer.text.matches(r#""active":true"#).count();
        assert_eq!(active, keys.len(), "{answer:?}");
    }
    let written: i64 = eventually("the first are written", SOON, used, |used| *used > 0).await;
    assert_eq!(written, 5_000);
    lock.rollback().await.unwrap();
    eventually("all are written", SOON, used, |used| {
        *used == i64::from(count)
    })
    .await;
}
