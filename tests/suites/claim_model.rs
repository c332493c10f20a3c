//! Whatever happens in whatever order, claims keep their promises: random
//! interleavings of mints, revocations, jobs, claims, completions, crashes,
//! expiring leases, sweeps, losses of Redis and re-arming, against each store
//! and a small model of it.

mod model;
mod promises;
mod step;
mod world;

use std::cell::RefCell;
use std::fmt::Write;

use proptest::collection::vec;
use proptest::test_runner::{Config, TestError, TestRunner};
use rstest::rstest;
use tests::stores::Database::{self, Postgres, Sqlite};
use tests::stores::StoreUnderTest;
use tokio::runtime::Runtime;

use promises::EVENTS;
use world::{Seen, World};

const CASES: u32 = 256;
const LONGEST: usize = 60;

#[rstest]
fn claims_keep_their_promises(#[values(Postgres, Sqlite)] database: Database) {
    let runtime = Runtime::new().unwrap();
    let db = runtime.block_on(StoreUnderTest::migrated(database));
    let seen = RefCell::new(Seen::default());
    let config = Config {
        cases: CASES,
        // The failure prints its steps; a file of seeds would say less.
        failure_persistence: None,
        ..Config::default()
    };

    let ran = TestRunner::new(config).run(&vec(step::any(), 1..=LONGEST), |steps| {
        runtime.block_on(async {
            let mut world = World::new(&db).await;
            for step in &steps {
                world.take(step).await?;
            }
            world.recovers_once_faults_stop().await?;
            seen.borrow_mut().extend(world.seen);
            Ok(())
        })
    });

    match ran {
        Ok(()) => {}
        Err(TestError::Fail(reason, steps)) => {
            let mut told = format!("{reason}\nafter these steps:\n");
            for (number, step) in steps.iter().enumerate() {
                writeln!(told, "{number:>3} {step:?}").unwrap();
            }
            panic!("{told}");
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
        "never happened, so not tested: {missed:?}"
    );
}
