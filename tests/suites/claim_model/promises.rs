//! The conditions that must hold after each step and at the end of a sequence.

use std::time::Duration;

use proptest::{prop_assert, prop_assert_eq};
use shared::store::{Claim, Outcome};
use tests::stores::Row;

use super::model_test::{Checked, ModelTest};

/// The events that must happen at least once in a run of all sequences.
pub const EVENTS: &[&str] = &[
    "a claim was won",
    "a job won no claim",
    "a lease expired and another attempt followed",
    "a success was written",
    "portal sessions were ended",
    "a job that came too early won no claim",
    "a failure was written",
    "a dead letter was written",
    "an older claim was refused",
    "a lost claim was refused",
    "the claim of a revoked key was refused",
    "the second completion of a claim was refused",
    "work was re-armed",
    "a key was replaced before it was provisioned",
    "a provisioned key was replaced",
    "a second rotation was refused",
    "a rotation was canceled",
    "a rotation was over and not canceled",
    "a replaced key got its application later",
];

impl ModelTest<'_> {
    /// Checks that the store and the model agree, and that the last step changed only
    /// what it was allowed to change. `written` is the claim whose completion that step
    /// wrote.
    pub async fn check(&mut self, written: Option<&Claim>) -> Checked {
        let rows = self.db.rows().await;
        prop_assert_eq!(&rows, &self.model.rows);
        for row in &rows {
            let won = self.claims.iter();
            let won = won.filter(|won| won.claim.key_id == row.id && !won.lost);
            let won = won.count();
            let attempts = usize::try_from(row.attempts).unwrap();
            prop_assert_eq!(
                attempts,
                won,
                "a row has as many attempts as claims: {:?}",
                row
            );
        }
        for (before, after) in self.rows.iter().zip(&rows) {
            prop_assert!(before.attempts <= after.attempts, "{before:?}, {after:?}");
            let was_live = before.is_active || before.expires_at.is_some();
            let is_allowed = was_live || before == after || only_work_differs(before, after);
            prop_assert!(is_allowed, "a revoked row changed: {before:?}, {after:?}");
            let was_over = before.expires_at.is_some_and(|end| end <= self.now);
            let is_live = after.is_active || after.expires_at.is_some_and(|end| end > self.now);
            prop_assert!(
                !was_over || !is_live,
                "an ended key works: {before:?}, {after:?}"
            );
            let is_later = before.expires_at.is_some() && after.expires_at > before.expires_at;
            prop_assert!(!is_later, "an overlap was extended: {before:?}, {after:?}");
            let is_begun = before.next_attempt_at != after.next_attempt_at
                && before.expires_at > Some(self.now)
                && before.expires_at == after.expires_at
                && after.leased_until.is_some();
            prop_assert!(
                !is_begun,
                "sessions were ended too early: {before:?}, {after:?}"
            );
            let takes_over = written.is_none() && (before.expires_at.is_some());
            if after.has_webhook && !before.has_webhook && !takes_over {
                let by = written.map(|claim| (claim.key_id, claim.attempt));
                prop_assert_eq!(
                    by,
                    Some((after.id, after.attempts)),
                    "only the owner of the claim provisions a row"
                );
            }
        }
        for row in &rows {
            let same = rows
                .iter()
                .filter(|other| other.account_id == row.account_id);
            let live = same.filter(|row| row.is_active || row.expires_at > Some(self.now));
            prop_assert!(live.count() <= 2, "three keys work: {:?}", rows);
        }
        self.rows = rows;
        Ok(())
    }

    /// Runs the workers without faults, and checks that they provision every active row
    /// that is not a dead letter.
    pub async fn provisions_all_once_faults_stop(&mut self) -> Checked {
        // Jobs that the faults left in the queue must not prevent this.
        let mut jobs = std::mem::take(&mut self.queue);
        for _round in 0..2 {
            for job in jobs {
                if let Some(claim) = self.claim(job).await? {
                    let success = self.success(&claim);
                    let written = self
                        .db
                        .store
                        .finish(&claim, &success, self.now)
                        .await
                        .unwrap();
                    prop_assert!(written, "no other worker holds a claim: {claim:?}");
                    if success == Outcome::PortalSessionsEnded {
                        self.seen.insert("portal sessions were ended");
                    }
                    self.model.finish(&claim, &success);
                    self.check(Some(&claim)).await?;
                }
            }
            // Longer than the longest delay and every lease.
            self.now = self.now + Duration::from_hours(2);
            jobs = self.due().await?;
        }
        prop_assert_eq!(jobs, [], "no row is due after one sweep");
        for row in &self.rows {
            let is_open = row.is_active && row.failed_at.is_none();
            prop_assert!(!is_open || row.has_webhook, "not provisioned: {row:?}");
            let has_work = row.next_attempt_at.is_some();
            prop_assert!(!has_work, "the portal sessions were not ended: {row:?}");
        }
        Ok(())
    }
}

/// Returns whether the rows of a revoked key differ only in the work of ending its portal
/// sessions, which it has only if it could open the portal.
fn only_work_differs(before: &Row, after: &Row) -> bool {
    let same_work = Row {
        attempts: before.attempts,
        armed_at_attempt: before.armed_at_attempt,
        next_attempt_at: before.next_attempt_at,
        leased_until: before.leased_until,
        last_error: before.last_error.clone(),
        failed_at: before.failed_at,
        ..after.clone()
    };
    before.has_webhook && *before == same_work
}
