use sqlx::PgConnection;

use super::{CLOCK, VERSION, WRITABLE};
use crate::clock::{Clock, Timestamp};
use crate::doctor::{Finding, clock};

/// The oldest version of PostgreSQL that works, as `server_version_num` counts.
const OLDEST: i32 = 130_000;

pub(super) async fn check_version(db: &mut PgConnection) -> Result<Finding, sqlx::Error> {
    let question = "SELECT current_setting('server_version_num')::int4,
                           current_setting('server_version')";
    let question = sqlx::query_as(question).persistent(false);
    let (number, text): (i32, String) = question.fetch_one(db).await?;
    let message = format!("PostgreSQL {text}");
    Ok(if number >= OLDEST {
        Finding::ok(VERSION, message)
    } else {
        Finding::error(
            VERSION,
            message,
            "update the server to PostgreSQL 13 or later",
        )
    })
}

pub(super) async fn check_writable(db: &mut PgConnection) -> Result<Finding, sqlx::Error> {
    let question = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'";
    let question = sqlx::query_as(question).persistent(false);
    let (is_standby, is_read_only): (bool, bool) = question.fetch_one(db).await?;
    Ok(if is_standby {
        let fix = "let DATABASE_URL lead to the primary, for instance through HAProxy";
        Finding::error(WRITABLE, "the server is a standby, which only reads", fix)
    } else if is_read_only {
        let fix = "unset default_transaction_read_only of the server, the database and the user; \
                   some providers set it when the disk is full";
        Finding::error(WRITABLE, "the database only reads", fix)
    } else {
        Finding::ok(WRITABLE, "the server is a primary that writes")
    })
}

pub(super) async fn check_clock(
    db: &mut PgConnection,
    clock: &Clock,
) -> Result<Finding, sqlx::Error> {
    let question = "SELECT (EXTRACT(epoch FROM clock_timestamp()) * 1000000)::int8";
    let before = clock.now();
    let question = sqlx::query_scalar(question).persistent(false);
    let theirs: i64 = question.fetch_one(db).await?;
    let theirs = Timestamp::from_micros(theirs);
    Ok(clock::judge(CLOCK, before, theirs, clock.now()))
}
