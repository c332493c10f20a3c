//! Random sequences of key creations, revocations, jobs, claims, completions, crashes,
//! lost claims, expiring leases, sweeps, losses of Redis and re-armings. Each sequence runs
//! against a store and against a small model of it. After every step, the two must agree and
//! the promises about claims must hold.

mod lost_claims;
mod model;
mod model_test;
mod promises;
mod step;

use std::cell::RefCell;
use std::fmt::Write;

use proptest::collection::vec;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use rstest::rstest;
use tests::stores::Database::{self, Postgres, Sqlite};
use tests::stores::StoreUnderTest;
use tokio::runtime::Runtime;

use model_test::{Events, ModelTest};
use promises::EVENTS;
use step::Step;

/// The number of random sequences for each store.
const CASES: u32 = 384;
/// The greatest number of steps in a sequence.
const MAX_STEPS: usize = 60;

#[rstest]
fn claims_keep_their_promises_in_any_sequence_of_steps(
    #[values(Postgres, Sqlite)] database: Database,
) {
    let runtime = Runtime::new().unwrap();
    // The store closes its connections when it is dropped, which needs the runtime.
    let _within = runtime.enter();
    let db = runtime.block_on(StoreUnderTest::migrated(database));
    let seen = RefCell::new(Events::default());
    let config = Config {
        cases: CASES,
        // A failure prints its steps, so a file of seeds is not needed.
        failure_persistence: None,
        ..Config::default()
    };

    let run = |steps: Vec<Step>| {
        runtime.block_on(async {
            let mut model_test = ModelTest::new(&db).await;
            for step in &steps {
                model_test.run_step(step).await?;
            }
            model_test.provisions_all_once_faults_stop().await?;
            seen.borrow_mut().extend(model_test.seen);
            Ok(())
        })
    };
    for steps in step::rare_sequences() {
        let ran: Result<(), TestCaseError> = run(steps);
        ran.unwrap();
    }
    let ran = TestRunner::new(config).run(&vec(step::any(), 1..=MAX_STEPS), run);

    match ran {
        Ok(()) => {}
        Err(TestError::Fail(reason, steps)) => {
            let mut message = format!("{reason}\nafter these steps:\n");
            for (number, step) in steps.iter().enumerate() {
                writeln!(message, "{number:>3} {step:?}").unwrap();
            }
            panic!("{message}");
        }
        Err(aborted) => panic!("{aborted}"),
    }
    let seen = seen.into_inner();
    let missed: Vec<_> = EVENTS
        .iter()
        .filter(|event| !seen.contains(*event))
        .collect();
    assert!(
        missed.is_empty(),
        "these events never happened, so they were not tested: {missed:?}"
    );
}
