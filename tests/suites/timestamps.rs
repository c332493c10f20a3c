//! Times in PostgreSQL are microseconds since 2000; ours are microseconds since 1970.

use shared::clock::Timestamp;
use sqlx::Row;
use tests::postgres::TestDatabase;

/// Times as PostgreSQL writes them, and in microseconds since 1970. We never write the last two.
const TIMES: [(&str, i64); 5] = [
    ("1970-01-01 00:00:00+00", 0),
    ("1999-12-31 23:59:59.999999+00", 946_684_799_999_999),
    ("2026-11-29 12:30:00.000001+00", 1_795_955_400_000_001),
    ("infinity", i64::MAX),
    ("-infinity", i64::MIN + 946_684_800_000_000),
];

#[tokio::test]
async fn every_time_of_postgres_is_read_and_written_as_it_is() {
    let database = TestDatabase::create().await;
    let pool = database.pool().await;
    for (text, micros) in TIMES {
        let read = sqlx::query_scalar("SELECT $1::text::timestamptz").bind(text);
        let read: Timestamp = read.fetch_one(&pool).await.unwrap();
        assert_eq!(read.as_micros(), micros, "{text}");
    }
    for (text, micros) in &TIMES[..3] {
        let same = sqlx::query_scalar("SELECT $1 = $2::text::timestamptz");
        let same = same.bind(Timestamp::from_micros(*micros)).bind(*text);
        let same: bool = same.fetch_one(&pool).await.unwrap();
        assert!(same, "{text}");
    }

    // What is no prepared statement is answered in text.
    let text = "SET timezone = 'UTC'; SELECT '2026-11-29 12:30:00.000001+00'::timestamptz AS at";
    let row = sqlx::raw_sql(text).fetch_one(&pool).await.unwrap();
    let at: Timestamp = row.try_get("at").unwrap();
    assert_eq!(at.as_micros(), TIMES[2].1);
}
