//! The states of a row: the database accepts those that docs/ARCHITECTURE.md lists,
//! and refuses every other combination of its columns.

use rstest::rstest;
use tests::stores::Database::{self, Postgres, Sqlite};
use tests::stores::{StoreUnderTest, at};

/// A combination of the columns that make up a row's state.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each stands for a column of the table"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Columns {
    is_active: bool,
    revoked: bool,
    has_webhook: bool,
    has_application_id: bool,
    next_attempt: bool,
    lease: Lease,
    failed: bool,
}

/// The lease of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lease {
    /// The row has no lease.
    None,
    /// The lease ends when the next attempt is due.
    UntilNextAttempt,
    /// The lease ends at another time.
    UntilAnotherTime,
}

/// A key that has just been created.
const WAITING: Columns = Columns {
    is_active: true,
    revoked: false,
    has_webhook: false,
    has_application_id: false,
    next_attempt: true,
    lease: Lease::None,
    failed: false,
};
const LEASED: Columns = Columns {
    lease: Lease::UntilNextAttempt,
    ..WAITING
};
const PROVISIONED: Columns = Columns {
    has_webhook: true,
    has_application_id: true,
    next_attempt: false,
    ..WAITING
};
const DEAD_LETTER: Columns = Columns {
    failed: true,
    next_attempt: false,
    ..WAITING
};
const REVOKED: Columns = Columns {
    is_active: false,
    revoked: true,
    next_attempt: false,
    ..WAITING
};
const REVOKED_PROVISIONED: Columns = Columns {
    is_active: false,
    revoked: true,
    ..PROVISIONED
};
const REVOKED_DEAD_LETTER: Columns = Columns {
    is_active: false,
    revoked: true,
    ..DEAD_LETTER
};
/// The portal sessions of a revoked key are to be ended.
const ENDING: Columns = Columns {
    next_attempt: true,
    ..REVOKED_PROVISIONED
};
const ENDING_LEASED: Columns = Columns {
    lease: Lease::UntilNextAttempt,
    ..ENDING
};
const ENDING_DEAD_LETTER: Columns = Columns {
    failed: true,
    ..REVOKED_PROVISIONED
};
const VALID: [Columns; 10] = [
    WAITING,
    LEASED,
    PROVISIONED,
    DEAD_LETTER,
    REVOKED,
    REVOKED_PROVISIONED,
    REVOKED_DEAD_LETTER,
    ENDING,
    ENDING_LEASED,
    ENDING_DEAD_LETTER,
];

/// Returns every combination, valid or not.
fn all_combinations() -> Vec<Columns> {
    let leases = [
        Lease::None,
        Lease::UntilNextAttempt,
        Lease::UntilAnotherTime,
    ];
    let bits = (0..64_u8).flat_map(|bits| leases.map(|lease| (bits, lease)));
    bits.map(|(bits, lease)| Columns {
        is_active: bits & 1 != 0,
        revoked: bits & 2 != 0,
        has_webhook: bits & 4 != 0,
        has_application_id: bits & 8 != 0,
        next_attempt: bits & 16 != 0,
        failed: bits & 32 != 0,
        lease,
    })
    .collect()
}

/// Returns the statement that puts the only row into this state.
fn update(database: Database, columns: Columns) -> String {
    let time = |seconds: u32| match database {
        Database::Postgres => format!("to_timestamp({seconds})"),
        Database::Sqlite => format!("{seconds}000000"),
    };
    let optional = |is_set: bool, value: String| if is_set { value } else { "NULL".to_owned() };
    let Columns {
        is_active,
        revoked,
        has_webhook,
        has_application_id,
        next_attempt,
        lease,
        failed,
    } = columns;
    format!(
        "UPDATE api_partners
         SET is_active = {is_active}, has_webhook = {has_webhook},
             revoked_at = {}, svix_app_id = {}, next_attempt_at = {}, leased_until = {},
             failed_at = {}",
        optional(revoked, time(100)),
        optional(has_application_id, "'app_1'".to_owned()),
        optional(next_attempt, time(200)),
        match lease {
            Lease::None => "NULL".to_owned(),
            Lease::UntilNextAttempt => time(200),
            Lease::UntilAnotherTime => time(300),
        },
        optional(failed, time(400)),
    )
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_accepts_only_valid_states(#[values(Postgres, Sqlite)] database: Database) {
    let db = StoreUnderTest::migrated(database).await;
    db.mint("acct", at(0)).await;
    let mut accepted = 0;
    for columns in all_combinations() {
        let update = sqlx::AssertSqlSafe(update(db.database, columns));
        let result = db.try_execute(update).await;
        assert_eq!(result.is_ok(), VALID.contains(&columns), "{columns:?}");
        if let Err(error) = result {
            let error = error.to_string();
            assert!(error.contains("api_partners_"), "{columns:?}: {error}");
        } else {
            accepted += 1;
        }
    }
    assert_eq!(accepted, VALID.len());
}
