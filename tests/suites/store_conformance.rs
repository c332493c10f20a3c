//! The conformance suite for stores. It runs once for each database, and checks that both
//! keep the promises of the `Store` trait.

pub mod claims;
mod completions;
mod events;
mod keys;
mod operators;
mod rearming;
mod revocations;
mod rotation;
mod schema;
mod sessions;
mod states;

use std::collections::BTreeMap;
use std::process::Command;

/// The number of cases. Raise it when you add a case. Do not remove a case.
const ROWS: usize = 69;

/// Checks that each case runs on both databases. It asks the test harness, so that it notices
/// a case that is not compiled or that runs on one database only.
#[test]
fn every_case_runs_on_both_databases() {
    let this = std::env::current_exe().unwrap();
    let listed = Command::new(this)
        .args(["--list", "--format", "terse"])
        .output();
    let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
    let cases = listed.lines().filter_map(|line| {
        line.strip_prefix("store_conformance::")?
            .strip_suffix(": test")
    });
    let mut databases: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for case in cases.filter(|case| *case != "every_case_runs_on_both_databases") {
        let (case, database) = case.rsplit_once("::").unwrap_or((case, "none"));
        databases.entry(case).or_default().push(database);
    }
    for (case, databases) in &databases {
        assert_eq!(
            *databases,
            ["database_1_Postgres", "database_2_Sqlite"],
            "{case}"
        );
    }
    assert!(
        databases.len() >= ROWS,
        "{}: {databases:?}",
        databases.len()
    );
}
