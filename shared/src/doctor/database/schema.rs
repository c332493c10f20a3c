use std::collections::BTreeSet;

use sqlx::PgConnection;

use super::SCHEMA;
use super::grants::Grant;
use crate::doctor::Finding;
use crate::store::POSTGRES_MIGRATIONS;

/// The table in which sqlx keeps which migrations were run.
pub(super) const MIGRATIONS: &str = "_sqlx_migrations";

/// Returns those of the tables ($1) that the user does not see.
const ABSENT: &str = "
    SELECT needed FROM unnest($1::text[]) AS needed WHERE to_regclass(needed) IS NULL";

/// Whether the user can read which migrations were run.
const CAN_READ: &str = "
    SELECT has_column_privilege('_sqlx_migrations', 'version', 'SELECT')
       AND has_column_privilege('_sqlx_migrations', 'success', 'SELECT')";

/// Returns the tables of these grants that the user does not see.
pub(super) async fn absent_tables(
    db: &mut PgConnection,
    grants: &[Grant],
) -> Result<Vec<String>, sqlx::Error> {
    let tables: BTreeSet<&str> = grants.iter().map(|grant| &*grant.table).collect();
    let tables: Vec<&str> = tables.into_iter().collect();
    let absent = sqlx::query_scalar(ABSENT).persistent(false).bind(tables);
    absent.fetch_all(db).await
}

/// Compares the schema with the one that this program knows.
pub(super) async fn check(db: &mut PgConnection, grants: &[Grant]) -> Result<Finding, sqlx::Error> {
    let absent = absent_tables(db, grants).await?;
    if !absent.is_empty() {
        let message = format!("not there, or not for this user: {}", absent.join(", "));
        let fix = "run `api migrate` and deploy/postgres/roles.sql; the tables have to be in the \
                   search_path of the user";
        return Ok(Finding::error(SCHEMA, message, fix));
    }
    let question = sqlx::query_scalar(CAN_READ).persistent(false);
    let can_read: bool = question.fetch_one(&mut *db).await?;
    if !can_read {
        let message = "the tables are there; their version is not known, because the user cannot \
                       read _sqlx_migrations";
        let fix = "run deploy/postgres/roles.sql of this version";
        return Ok(Finding::warning(SCHEMA, message, fix));
    }
    let question = "SELECT version, success FROM _sqlx_migrations ORDER BY version";
    let question = sqlx::query_as(question).persistent(false);
    let applied: Vec<(i64, bool)> = question.fetch_all(db).await?;
    let known: Vec<i64> = POSTGRES_MIGRATIONS
        .iter()
        .map(|migration| migration.version)
        .collect();
    Ok(judge(&known, &applied))
}

fn judge(known: &[i64], applied: &[(i64, bool)]) -> Finding {
    let is_applied = |version: &i64| applied.iter().any(|(applied, _)| applied == version);
    let missing = list(known.iter().filter(|version| !is_applied(version)));
    let broken = list(
        applied
            .iter()
            .filter(|(_, success)| !success)
            .map(|(version, _)| version),
    );
    let newest = known.iter().max().copied().unwrap_or(0);
    let newer = list(
        applied
            .iter()
            .map(|(version, _)| version)
            .filter(|version| **version > newest),
    );
    if !broken.is_empty() {
        let fix = "find out from the server's log how far it came, undo it, delete its row in \
                   _sqlx_migrations, and run `api migrate`";
        Finding::error(SCHEMA, format!("migration {broken} failed half-way"), fix)
    } else if !missing.is_empty() {
        let fix = "run `api migrate` of this version, then deploy/postgres/roles.sql";
        Finding::error(SCHEMA, format!("migration {missing} was not run"), fix)
    } else if !newer.is_empty() {
        let message = format!("the schema is newer than this program: migration {newer}");
        let fix = "update this program; during an update, or after going back, it works too";
        Finding::warning(SCHEMA, message, fix)
    } else {
        Finding::ok(
            SCHEMA,
            format!("version {newest}, which this program knows"),
        )
    }
}

fn list<'a>(versions: impl Iterator<Item = &'a i64>) -> String {
    let texts: Vec<String> = versions.map(ToString::to_string).collect();
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn the_schema_is_that_of_this_program_or_a_later_one() {
        for (applied, status, message) in [
            (&[(1, true), (2, true)][..], Status::Ok, "version 2"),
            (&[(1, true)], Status::Error, "migration 2 was not run"),
            (&[], Status::Error, "migration 1, 2 was not run"),
            (
                &[(1, true), (2, false)],
                Status::Error,
                "migration 2 failed half-way",
            ),
            (
                &[(1, true), (2, true), (3, true)],
                Status::Warning,
                "migration 3",
            ),
        ] {
            let finding = judge(&[1, 2], applied);
            assert_eq!(finding.status, status, "{finding:?}");
            assert!(finding.message.contains(message), "{finding:?}");
        }
    }
}
