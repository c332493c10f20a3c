use std::collections::BTreeMap;

use sqlx::PgConnection;

use super::grants::Grant;
use super::schema::{self, MIGRATIONS};
use super::{PRIVILEGES, USER};
use crate::doctor::Finding;

/// Returns those of the privileges ($1: tables, $2: columns, $3: privileges) that the user
/// lacks. A column that is not there is a matter of the schema.
const LACKING: &str = "
    SELECT needed.t, needed.c, needed.p
    FROM unnest($1::text[], $2::text[], $3::text[]) AS needed (t, c, p)
    WHERE CASE
        WHEN needed.c = '' THEN NOT has_table_privilege(to_regclass(needed.t), needed.p)
        WHEN NOT EXISTS (
            SELECT FROM pg_attribute
            WHERE attrelid = to_regclass(needed.t) AND attname = needed.c AND NOT attisdropped
        ) THEN FALSE
        ELSE NOT has_column_privilege(to_regclass(needed.t), needed.c, needed.p)
    END";

/// Looks for privileges that the program needs and its user does not have.
pub(super) async fn check(
    db: &mut PgConnection,
    role: &str,
    grants: &[Grant],
) -> Result<Finding, sqlx::Error> {
    if !schema::absent_tables(db, grants).await?.is_empty() {
        return Ok(Finding::skipped(PRIVILEGES, "not all tables are there"));
    }
    // Without this one, only the check of the schema does not know the version.
    let needed: Vec<&Grant> = grants
        .iter()
        .filter(|grant| grant.table != MIGRATIONS)
        .collect();
    let column = |value: fn(&Grant) -> &String| -> Vec<String> {
        needed.iter().map(|grant| value(grant).clone()).collect()
    };
    let lacking: Vec<(String, String, String)> = sqlx::query_as(LACKING)
        .persistent(false)
        .bind(column(|grant| &grant.table))
        .bind(column(|grant| &grant.column))
        .bind(column(|grant| &grant.privilege))
        .fetch_all(db)
        .await?;
    if lacking.is_empty() {
        let message = format!("the user has the {} privileges of {role}", needed.len());
        return Ok(Finding::ok(PRIVILEGES, message));
    }
    // `SELECT on sessions (a, b)`.
    let mut by_table: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for (table, column, privilege) in lacking {
        by_table.entry((table, privilege)).or_default().push(column);
    }
    let texts = by_table.into_iter().map(|((table, privilege), columns)| {
        let columns = columns.join(", ");
        if columns.is_empty() {
            format!("{privilege} on {table}")
        } else {
            format!("{privilege} on {table} ({columns})")
        }
    });
    let message = format!("the user lacks {}", texts.collect::<Vec<_>>().join("; "));
    let fix = format!(
        "run deploy/postgres/roles.sql as the owner of the tables, and make the user a member: \
         GRANT {role} TO the user"
    );
    Ok(Finding::error(PRIVILEGES, message, fix))
}

/// Warns about a user who may do everything.
pub(super) async fn check_user(db: &mut PgConnection, role: &str) -> Result<Finding, sqlx::Error> {
    let question = "SELECT rolname::text, rolsuper FROM pg_roles WHERE rolname = current_user";
    let question = sqlx::query_as(question).persistent(false);
    let (name, is_superuser): (String, bool) = question.fetch_one(db).await?;
    Ok(if is_superuser {
        let message = format!("{name} is a superuser: who takes over this program has the server");
        let fix = format!(
            "create a user with CREATE USER … IN ROLE {role}, and use it in DATABASE_URL \
             (docs/OPERATIONS.md#privileges)"
        );
        Finding::warning(USER, message, fix)
    } else {
        Finding::ok(USER, format!("{name} is not a superuser"))
    })
}
