//! What must hold after each step, whatever it was, and at the end.

use std::time::Duration;

use proptest::{prop_assert, prop_assert_eq};
use shared::store::Claim;

use super::world::{Checked, World};

/// What a run must have met, or it has tested little.
pub const EVENTS: &[&str] = &[
    "a claim was won",
    "a job came to nothing",
    "a lease ran out and its attempt was followed by another",
    "a success was written",
    "a failure was written",
    "a dead letter was written",
    "an older claim was refused",
    "the claim of a revoked key was refused",
    "a claim was refused its second completion",
    "work was armed anew",
];

impl World<'_> {
    /// The store and the model agree, and what happened was allowed to.
    /// `written` is the claim whose completion was written just now.
    pub async fn check(&mut self, written: Option<&Claim>) -> Checked {
        let rows = self.db.rows().await;
        prop_assert_eq!(&rows, &self.model.rows);
        for row in &rows {
            let won = self.held.iter();
            let won = won.filter(|held| held.claim.key_id == row.id).count();
            let attempts = usize::try_from(row.attempts).unwrap();
            prop_assert_eq!(attempts, won, "one attempt a claim: {:?}", row);
        }
        for (before, after) in self.rows.iter().zip(&rows) {
            prop_assert!(before.attempts <= after.attempts, "{before:?}, {after:?}");
            let is_frozen = before.is_active || before == after;
            prop_assert!(is_frozen, "revoked, then changed: {before:?}, {after:?}");
            if after.has_webhook && !before.has_webhook {
                let by = written.map(|claim| (claim.key_id, claim.attempt));
                prop_assert_eq!(by, Some((after.id, after.attempts)), "by its owner alone");
            }
        }
        self.rows = rows;
        Ok(())
    }

    /// From here on everything works: all that is active and not given up ends
    /// provisioned.
    pub async fn recovers_once_faults_stop(&mut self) -> Checked {
        // Whatever the faults left in the queue must not hinder.
        let mut jobs = std::mem::take(&mut self.queue);
        for _round in 0..2 {
            for job in jobs {
                if let Some(claim) = self.claim(job).await? {
                    let success = self.success();
                    let written = self.db.store.finish(&claim, &success).await.unwrap();
                    prop_assert!(written, "nobody else is at it: {claim:?}");
                    self.model.finish(&claim, &success);
                    self.check(Some(&claim)).await?;
                }
            }
            // Past the longest delay and every lease.
            self.now = self.now + Duration::from_hours(2);
            jobs = self.due().await?;
        }
        prop_assert_eq!(jobs, [], "one sweep finds all there is to do");
        for row in &self.rows {
            let is_open = row.is_active && row.failed_at.is_none();
            prop_assert!(!is_open || row.has_webhook, "left behind: {row:?}");
        }
        Ok(())
    }
}
