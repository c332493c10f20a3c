//! Creates a backlog of keys that need their webhook, and counts the finished ones.

use sqlx::PgPool;

/// Inserts `count` keys, each for a different account. All of them are due.
pub async fn insert_due_rows(pool: &PgPool, count: usize) {
    let statement = "
        INSERT INTO api_partners (id, account_id, key_hash, key_prefix, created_at, next_attempt_at)
        SELECT gen_random_uuid(), 'account-' || gen_random_uuid(),
               sha256(gen_random_uuid()::text::bytea), 'pk_live_0123456789abcdef', now(), now()
        FROM generate_series(1, $1)";
    let count = i64::try_from(count).unwrap();
    sqlx::query(statement)
        .bind(count)
        .execute(pool)
        .await
        .unwrap();
}

/// Returns the number of keys that have their webhook.
pub async fn provisioned(pool: &PgPool) -> usize {
    let statement = "SELECT count(*) FROM api_partners WHERE has_webhook";
    let count: i64 = sqlx::query_scalar(statement).fetch_one(pool).await.unwrap();
    usize::try_from(count).unwrap()
}
