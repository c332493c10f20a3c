//! One conformance suite, run once for each store: whatever the `Store` trait
//! promises, both databases keep.
#![allow(missing_docs)]

#[path = "store_conformance/claims.rs"]
mod claims;
#[path = "store_conformance/completions.rs"]
mod completions;
#[path = "store_conformance/keys.rs"]
mod keys;
#[path = "store_conformance/operators.rs"]
mod operators;
#[path = "store_conformance/rearming.rs"]
mod rearming;
#[path = "store_conformance/schema.rs"]
mod schema;
#[path = "store_conformance/sessions.rs"]
mod sessions;
#[path = "store_conformance/states.rs"]
mod states;

use std::process::Command;

use claims::*;
use completions::*;
use keys::*;
use operators::*;
use rearming::*;
use schema::*;
use sessions::*;
use states::*;

/// Makes each row a test of each store. A row that is not in the list is dead
/// code, which does not pass the lints.
macro_rules! conformance {
    (on $database:ident as $module:ident: $($row:ident)*) => {
        mod $module {
            use tests::stores::{Database, StoreUnderTest};
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $row() {
                    let store = StoreUnderTest::migrated(Database::$database).await;
                    super::$row(&store).await;
                }
            )*
        }
    };
    ($($row:ident)*) => {
        const ROWS: &[&str] = &[$(stringify!($row)),*];
        conformance!(on Postgres as postgres: $($row)*);
        conformance!(on Sqlite as sqlite: $($row)*);
    };
}

conformance! {
    a_minted_key_is_stored_with_its_work_due_at_once
    an_account_has_one_active_key
    of_50_mints_of_an_account_at_once_one_is_stored
    a_key_that_exists_is_refused_as_an_error
    the_active_key_is_shown_as_it_is
    a_key_is_found_by_its_hash_only_while_active
    revoking_keeps_the_row_and_drops_its_work
    revoking_again_changes_nothing
    revoking_tells_the_application
    of_50_revocations_at_once_one_revokes
    touching_notes_the_use_and_nothing_else
    times_read_back_equal_those_written
    accounts_are_told_apart_by_every_character
    due_rows_come_oldest_first_and_within_the_limit
    a_row_is_due_from_its_microsecond_on
    a_lease_hides_its_row_until_it_runs_out
    of_50_copies_of_a_job_one_gets_the_claim
    a_claim_raises_attempts_and_takes_the_lease
    a_job_with_another_attempt_does_nothing
    what_has_no_work_cannot_be_claimed
    each_claim_after_a_lease_ran_out_counts_one_more
    a_success_provisions_the_row
    a_failure_that_may_pass_waits_for_its_next_attempt
    a_failure_for_good_makes_a_dead_letter
    a_success_forgets_the_last_error
    a_claim_that_ran_out_may_finish_while_it_is_the_newest
    an_older_claim_writes_nothing
    the_claim_of_a_revoked_key_writes_nothing
    a_claim_finishes_once
    of_50_completions_at_once_one_is_written
    a_claim_nobody_gave_writes_nothing
    a_provisioned_key_is_provisioned_again_with_fresh_tries
    what_is_not_provisioned_is_not_provisioned_again
    a_claim_from_before_the_rearming_writes_nothing
    one_dead_letter_is_retried_with_fresh_tries
    one_waiting_row_is_retried_at_once
    one_row_that_is_no_dead_letter_and_does_not_wait_is_left_alone
    dead_letters_are_retried_oldest_first_within_the_limit_until_none_is_left
    waiting_rows_are_retried_within_the_limit_until_none_is_left
    a_key_minted_after_a_dead_letter_was_revoked_starts_afresh
    the_backlog_of_an_empty_store_is_nothing
    the_backlog_counts_each_row_in_its_state
    dead_letters_are_listed_oldest_first_within_the_limit
    revoked_dead_letters_are_not_listed
    a_session_names_its_account_until_it_expires
    a_revoked_session_names_nobody
    an_unknown_session_names_nobody
    a_session_token_is_stored_once
    a_row_takes_only_the_states_that_exist
    migrating_again_keeps_what_is_there
    several_processes_may_migrate_at_once
    a_database_without_our_schema_does_not_answer_the_ping
    a_database_that_lacks_a_table_does_not_answer_the_ping
    one_process_sees_what_another_wrote
}

/// Asks the test harness itself, so that a row that was compiled out, or a
/// database left out of the macro, is noticed.
#[test]
fn every_row_is_run_on_both_databases() {
    let this = std::env::current_exe().unwrap();
    let listed = Command::new(this)
        .args(["--list", "--format", "terse"])
        .output();
    let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
    let listed: Vec<&str> = listed.lines().collect();
    for row in ROWS {
        for database in ["postgres", "sqlite"] {
            let test = format!("{database}::{row}: test");
            assert!(listed.contains(&&*test), "{test} is not run");
        }
    }
    assert_eq!(listed.len(), 2 * ROWS.len() + 1, "{listed:?}");
}
