//! Migrations run while the previous version serves. These rules find statements with which it
//! would fail. They read the text only, so that a reviewer still has to think about the rest.

mod rollbacks;

use std::collections::BTreeSet;
use std::path::Path;

/// Statements that break a rule on purpose, by the beginning of their text.
const EXCEPTIONS: &[&str] = &[
    // Before the first release, when tables were small.
    "ALTER TABLE SESSIONS ADD CONSTRAINT SESSIONS_ACCOUNT",
];

/// Returns why the previous version would not survive the statement, which is in upper case. `new`
/// has the tables that the same migration creates.
fn problem(statement: &str, new: &BTreeSet<String>) -> Option<&'static str> {
    let has = |text: &str| statement.contains(text);
    let table = statement.strip_prefix("ALTER TABLE ")?;
    let table = table.split(' ').next().unwrap_or_default();
    if new.contains(table) {
        return None;
    }
    let rules = [
        (
            has(" DROP COLUMN ") || has(" RENAME "),
            "the previous version uses the name: remove it one release later",
        ),
        (
            has(" ALTER COLUMN ") && has(" TYPE "),
            "the table is rewritten under a lock: add a column",
        ),
        (
            has(" SET NOT NULL"),
            "the previous version may write a null: use a CHECK one release later",
        ),
        (
            has(" ADD COLUMN ") && has(" NOT NULL") && !has(" DEFAULT "),
            "the previous version does not write the column: give it a DEFAULT",
        ),
        (
            has(" ADD CONSTRAINT ") && !has(" NOT VALID") && !has(" USING INDEX "),
            "all rows are checked under a lock: use NOT VALID, and VALIDATE CONSTRAINT then",
        ),
    ];
    rules
        .into_iter()
        .find(|(is_broken, _)| *is_broken)
        .map(|(_, why)| why)
}

/// Returns why the previous version would not survive a statement that alters no table.
fn other_problem(statement: &str) -> Option<&'static str> {
    let removes = [
        "DROP TABLE ",
        "DROP INDEX ",
        "DROP VIEW ",
        "TRUNCATE ",
        "ALTER INDEX ",
    ];
    let is_removal = removes.iter().any(|start| statement.starts_with(start));
    is_removal.then_some("the previous version uses it: remove it one release later")
}

/// Returns the statements of a migration in upper case, with single spaces and no comments.
fn statements(migration: &str) -> Vec<String> {
    let lines = migration
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default());
    let text: String = lines.flat_map(|line| [line, " "]).collect();
    let words = |statement: &str| statement.split_whitespace().collect::<Vec<_>>().join(" ");
    let statements = text.to_uppercase();
    let statements = statements.split(';').map(words);
    statements
        .filter(|statement| !statement.is_empty())
        .collect()
}

/// Returns the problems of a migration.
fn problems(migration: &str) -> Vec<String> {
    let statements = statements(migration);
    let created = statements.iter().filter_map(|statement| {
        let table = statement.strip_prefix("CREATE TABLE ")?;
        Some(table.split([' ', '(']).next()?.to_owned())
    });
    let new: BTreeSet<String> = created.collect();
    let mut found = Vec::new();
    for statement in &statements {
        let is_excepted = EXCEPTIONS.iter().any(|start| statement.starts_with(start));
        let why = problem(statement, &new).or_else(|| other_problem(statement));
        if let Some(why) = why.filter(|_| !is_excepted) {
            found.push(format!("{statement}: {why}"));
        }
    }
    found
}

#[test]
fn no_migration_breaks_the_previous_version() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/migrations/postgres");
    let mut read = 0;
    for file in std::fs::read_dir(Path::new(folder)).unwrap() {
        let path = file.unwrap().path();
        let found = problems(&std::fs::read_to_string(&path).unwrap());
        assert!(
            found.is_empty(),
            "{}:\n{}",
            path.display(),
            found.join("\n")
        );
        read += 1;
    }
    assert!(read >= 3, "{read} migrations");
}

#[test]
fn statements_that_break_the_previous_version_are_found() {
    for unsafe_one in [
        "ALTER TABLE sessions DROP COLUMN account_id;",
        "ALTER TABLE sessions\n    RENAME account_id TO account;",
        "DROP TABLE sessions;",
        "DROP INDEX api_partners_due; -- it is not used",
        "ALTER TABLE sessions ALTER COLUMN account_id TYPE varchar(255);",
        "ALTER TABLE sessions ALTER COLUMN account_id SET NOT NULL;",
        "ALTER TABLE sessions ADD COLUMN kind text NOT NULL;",
        "ALTER TABLE sessions ADD CONSTRAINT c CHECK (account_id <> '');",
    ] {
        assert_eq!(problems(unsafe_one).len(), 1, "{unsafe_one}");
    }
    for safe in [
        "ALTER TABLE sessions ADD COLUMN kind text NOT NULL DEFAULT 'login';",
        "ALTER TABLE sessions ADD CONSTRAINT c CHECK (account_id <> '') NOT VALID;",
        "CREATE TABLE t (a text); ALTER TABLE t ADD CONSTRAINT c CHECK (a <> '');",
        "-- DROP TABLE sessions;\nALTER TABLE sessions DROP CONSTRAINT c;",
    ] {
        assert_eq!(problems(safe), [] as [String; 0], "{safe}");
    }
}
