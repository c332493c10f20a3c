//! Migrations run while the previous version serves. These rules find statements with which it
//! would fail. They read the text only, so that a reviewer still has to think about the rest.

mod rollbacks;

use std::collections::BTreeSet;
use tests::repository::file;

/// Statements that break a rule on purpose, by the beginning of their text.
const EXCEPTIONS: &[&str] = &[
    // Before the first release, when tables were small.
    "ALTER TABLE SESSIONS ADD CONSTRAINT SESSIONS_ACCOUNT",
];

/// The last migration before the first release. Until then tables were small, so that they could
/// be read under a lock.
const LAST_OF_SMALL_TABLES: u32 = 5;

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

/// Returns why the previous version would wait for the statement for as long as a large table is
/// read. A migration is one transaction, which keeps its locks to its end.
fn delay(statement: &str, all: &[String], new: &BTreeSet<String>) -> Option<&'static str> {
    let is_alone = all.len() == 1;
    let index = ["CREATE INDEX ", "CREATE UNIQUE INDEX "];
    let indexed = index.iter().find_map(|start| statement.strip_prefix(start));
    if let Some(rest) = indexed.filter(|rest| !(is_alone && rest.starts_with("CONCURRENTLY "))) {
        let (_, table) = rest.split_once(" ON ")?;
        let is_new = new.contains(table.split([' ', '(']).next()?);
        return (!is_new).then_some(
            "no row can be written until it is built: CONCURRENTLY, alone in a migration that \
             begins with `-- no-transaction`",
        );
    }
    let validates = |statement: &str| statement.contains(" VALIDATE CONSTRAINT ");
    (validates(statement) && !all.iter().all(|it| validates(it)))
        .then_some("the locks of the other statements are held meanwhile: a migration of its own")
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

/// Returns the problems of a migration. Its number is the order in which it runs.
fn problems(number: u32, migration: &str) -> Vec<String> {
    let statements = statements(migration);
    let created = statements.iter().filter_map(|statement| {
        let table = statement.strip_prefix("CREATE TABLE ")?;
        Some(table.split([' ', '(']).next()?.to_owned())
    });
    let new: BTreeSet<String> = created.collect();
    let mut found = Vec::new();
    for statement in &statements {
        let is_excepted = EXCEPTIONS.iter().any(|start| statement.starts_with(start));
        let why = problem(statement, &new)
            .or_else(|| other_problem(statement))
            .or_else(|| {
                let is_large = number > LAST_OF_SMALL_TABLES;
                is_large.then(|| delay(statement, &statements, &new))?
            });
        if let Some(why) = why.filter(|_| !is_excepted) {
            found.push(format!("{statement}: {why}"));
        }
    }
    found
}

#[test]
fn no_migration_breaks_the_previous_version() {
    let folder = file("shared/migrations/postgres");
    let mut read = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let number = name.split('_').next().unwrap().parse().unwrap();
        let found = problems(number, &std::fs::read_to_string(&path).unwrap());
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
    const NEXT: u32 = LAST_OF_SMALL_TABLES + 1;
    for unsafe_one in [
        "ALTER TABLE sessions DROP COLUMN account_id;",
        "ALTER TABLE sessions\n    RENAME account_id TO account;",
        "DROP TABLE sessions;",
        "DROP INDEX api_partners_due; -- it is not used",
        "ALTER TABLE sessions ALTER COLUMN account_id TYPE varchar(255);",
        "ALTER TABLE sessions ALTER COLUMN account_id SET NOT NULL;",
        "ALTER TABLE sessions ADD COLUMN kind text NOT NULL;",
        "ALTER TABLE sessions ADD CONSTRAINT c CHECK (account_id <> '');",
        "CREATE INDEX i ON sessions (account_id);",
        "CREATE INDEX CONCURRENTLY i ON sessions (a); COMMENT ON INDEX i IS 'By account.';",
        "ALTER TABLE sessions ADD CONSTRAINT c CHECK (account_id <> '') NOT VALID;
         ALTER TABLE sessions VALIDATE CONSTRAINT c;",
    ] {
        assert_eq!(problems(NEXT, unsafe_one).len(), 1, "{unsafe_one}");
    }
    for safe in [
        "ALTER TABLE sessions ADD COLUMN kind text NOT NULL DEFAULT 'login';",
        "ALTER TABLE sessions ADD CONSTRAINT c CHECK (account_id <> '') NOT VALID;",
        "CREATE TABLE t (a text); ALTER TABLE t ADD CONSTRAINT c CHECK (a <> '');",
        "-- DROP TABLE sessions;\nALTER TABLE sessions DROP CONSTRAINT c;",
        "CREATE TABLE t (a text); CREATE INDEX i ON t (a);",
        "-- no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY i ON sessions (account_id);",
        "ALTER TABLE sessions VALIDATE CONSTRAINT c; ALTER TABLE sessions VALIDATE CONSTRAINT d;",
    ] {
        assert_eq!(problems(NEXT, safe), [] as [String; 0], "{safe}");
    }
}
