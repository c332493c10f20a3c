//! One conformance suite, run once for each store: whatever the `Store` trait
//! promises, both databases keep.

mod claims;
mod completions;
mod keys;
mod operators;
mod rearming;
mod schema;
mod sessions;
mod states;

use std::collections::BTreeMap;
use std::process::Command;

/// How many rows there are. A row that is added raises it; none is taken away.
const ROWS: usize = 54;

/// Asks the test harness itself, so that a row that was compiled out, or is run on
/// one database alone, is noticed.
#[test]
fn every_row_is_run_on_both_databases() {
    let this = std::env::current_exe().unwrap();
    let listed = Command::new(this)
        .args(["--list", "--format", "terse"])
        .output();
    let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
    let rows = listed.lines().filter_map(|line| {
        line.strip_prefix("store_conformance::")?
            .strip_suffix(": test")
    });
    let mut databases: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for row in rows.filter(|row| *row != "every_row_is_run_on_both_databases") {
        let (row, database) = row.rsplit_once("::").unwrap_or((row, "none"));
        databases.entry(row).or_default().push(database);
    }
    for (row, databases) in &databases {
        assert_eq!(
            *databases,
            ["database_1_Postgres", "database_2_Sqlite"],
            "{row}"
        );
    }
    assert!(
        databases.len() >= ROWS,
        "{}: {databases:?}",
        databases.len()
    );
}
