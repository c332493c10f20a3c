use sqlx::PgConnection;

use super::CONNECTIONS;
use crate::config::{DatabaseConfig, Pooler};
use crate::doctor::Finding;

/// The number of connections that the server, the database and the user allow. -1 in a
/// catalogue means no limit.
const ALLOWED: &str = "
    SELECT least(
        current_setting('max_connections')::int8
            - current_setting('superuser_reserved_connections')::int8,
        (SELECT CASE WHEN datconnlimit < 0 THEN NULL ELSE datconnlimit END
            FROM pg_database WHERE datname = current_database()),
        (SELECT CASE WHEN rolconnlimit < 0 THEN NULL ELSE rolconnlimit END
            FROM pg_roles WHERE rolname = current_user))::int8";

/// Compares what this process may open with what the server allows. A pooler does not say how
/// many it allows.
pub(super) async fn check(
    db: &mut PgConnection,
    config: &DatabaseConfig,
) -> Result<Finding, sqlx::Error> {
    let question = sqlx::query_scalar(ALLOWED).persistent(false);
    let allowed: i64 = question.fetch_one(db).await?;
    let ours = config.max_connections;
    if config.pooler == Pooler::Transaction {
        let message = format!(
            "this process opens up to {ours} to the pooler, and the server allows {allowed} to all"
        );
        return Ok(Finding::ok(CONNECTIONS, message));
    }
    let message =
        format!("this process opens up to {ours}, and the server allows {allowed} to all");
    if i64::from(ours) <= allowed {
        return Ok(Finding::ok(CONNECTIONS, message));
    }
    let fix = "lower DATABASE_MAX_CONNECTIONS, or raise max_connections of the server or the limit \
               of the user or the database; the sum over all processes has to fit";
    Ok(Finding::error(CONNECTIONS, message, fix))
}
