//! Claims that the database loses in a crash, because a claim is not on disk at once.

use std::time::Duration;

use shared::clock::Timestamp;
use sqlx::AssertSqlSafe;
use tests::stores::{Database, Row};

use super::model_test::{ModelTest, newest};

impl ModelTest<'_> {
    /// Takes back one of the claims after which nothing was written to their rows: what was
    /// written later would be on disk only together with the claim.
    pub async fn lose_claim(&mut self, which: u8) {
        let last = |i: &usize| {
            let [_, after] = &self.claims[*i].rows;
            !self.claims[*i].lost && self.rows.contains(after)
        };
        let last: Vec<usize> = (0..self.claims.len()).filter(last).collect();
        if let Some(i) = newest(last.len(), which).map(|i| last[i]) {
            self.claims[i].lost = true;
            let [before, after] = self.claims[i].rows.clone();
            let restore = restore(self.db.database, &before);
            self.db.execute(AssertSqlSafe(restore)).await;
            for rows in [&mut self.rows, &mut self.model.rows] {
                let row = rows.iter_mut().find(|row| **row == after);
                *row.expect("the row is as the claim left it") = before.clone();
            }
            self.now = self.now + Duration::from_secs(1); // the database starts again
        }
    }
}

/// Returns the statement that undoes a claim.
fn restore(database: Database, row: &Row) -> String {
    let time = |time: Option<Timestamp>| match (time.map(Timestamp::as_micros), database) {
        (None, _) => "NULL".to_owned(),
        (Some(micros), Database::Sqlite) => micros.to_string(),
        (Some(micros), Database::Postgres) => {
            format!("timestamptz 'epoch' + {micros} * interval '1 microsecond'")
        }
    };
    format!(
        "UPDATE api_partners SET attempts = {}, next_attempt_at = {}, leased_until = {}
         WHERE id = {}",
        row.attempts,
        time(row.next_attempt_at),
        time(row.leased_until),
        match database {
            Database::Postgres => format!("'{}'", row.id),
            Database::Sqlite => format!("x'{}'", row.id.0.simple()),
        },
    )
}
