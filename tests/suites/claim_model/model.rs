//! A model of the store that keeps its rows in a list.

use shared::clock::Timestamp;
use shared::ids::{AccountId, KeyId};
use shared::store::{Claim, Job, NewKey, Outcome, Rearm};
use tests::stores::{Row, job, minted};

/// The rows that the store is expected to hold. Like the store, it takes the time from
/// its caller.
#[derive(Default)]
pub struct Model {
    /// The rows, oldest first.
    pub rows: Vec<Row>,
}

impl Model {
    /// Returns the active key of the account.
    pub fn active(&self, account: &AccountId) -> Option<&Row> {
        let mut rows = self.rows.iter();
        rows.find(|row| row.is_active && row.account_id == *account)
    }

    fn row(&mut self, id: KeyId) -> Option<&mut Row> {
        self.rows.iter_mut().find(|row| row.id == id)
    }

    pub fn insert_key(&mut self, key: &NewKey) -> bool {
        let is_free = self.active(&key.account_id).is_none();
        if is_free {
            self.rows.push(minted(key));
        }
        is_free
    }

    pub fn revoke_key(&mut self, account: &AccountId, now: Timestamp) -> Option<KeyId> {
        let id = self.active(account)?.id;
        let row = self.row(id)?;
        row.is_active = false;
        row.revoked_at = Some(now);
        row.armed_at_attempt = row.attempts;
        row.next_attempt_at = row.has_webhook.then_some(now);
        row.leased_until = None;
        Some(id)
    }

    pub fn due(&self, now: Timestamp) -> Vec<Job> {
        let due = |row: &&Row| row.next_attempt_at.is_some_and(|at| at <= now);
        let rows = self.rows.iter().filter(due);
        rows.map(|row| job(row.id, row.attempts)).collect()
    }

    pub fn claim(&mut self, job: Job, now: Timestamp, lease_end: Timestamp) -> Option<Claim> {
        let row = self.row(job.key_id)?;
        let is_first = row.attempts == row.armed_at_attempt;
        let is_due = row.next_attempt_at.is_some_and(|at| at <= now || is_first);
        if row.attempts != job.attempt || !is_due {
            return None;
        }
        let after_expired_lease = row.leased_until.is_some();
        row.attempts += 1;
        (row.next_attempt_at, row.leased_until) = (Some(lease_end), Some(lease_end));
        Some(Claim {
            key_id: row.id,
            account_id: row.account_id.clone(),
            attempt: row.attempts,
            tries: row.attempts - row.armed_at_attempt,
            created_at: row.created_at,
            revoked_at: row.revoked_at,
            svix_app_id: row.svix_app_id.clone(),
            after_expired_lease,
        })
    }

    pub fn finish(&mut self, claim: &Claim, outcome: &Outcome) -> bool {
        let Some(row) = self.row(claim.key_id) else {
            return false;
        };
        let fits = match outcome {
            Outcome::Provisioned { .. } => row.is_active,
            Outcome::PortalSessionsEnded => !row.is_active,
            Outcome::Retry { .. } | Outcome::DeadLetter { .. } => true,
        };
        if row.attempts != claim.attempt || row.leased_until.is_none() || !fits {
            return false;
        }
        (row.next_attempt_at, row.leased_until) = (None, None);
        match outcome.clone() {
            Outcome::Provisioned { svix_app_id } => {
                row.has_webhook = true;
                row.svix_app_id = Some(svix_app_id);
                row.last_error = None;
            }
            Outcome::PortalSessionsEnded => row.last_error = None,
            Outcome::Retry { at, error } => {
                row.next_attempt_at = Some(at);
                row.last_error = Some(error);
            }
            Outcome::DeadLetter { at, error } => {
                row.failed_at = Some(at);
                row.last_error = Some(error);
            }
        }
        true
    }

    pub fn reprovision(&mut self, id: KeyId, now: Timestamp) -> Vec<Job> {
        self.rearm_rows(now, |row| row.id == id && row.is_active && row.has_webhook)
    }

    pub fn rearm(&mut self, which: Rearm, now: Timestamp) -> Vec<Job> {
        let is_waiting = |row: &Row| {
            let is_later = row.next_attempt_at.is_some_and(|at| at > now);
            is_later && row.leased_until.is_none()
        };
        let is_dead_letter = |row: &Row| row.failed_at.is_some();
        match which {
            Rearm::One(id) => self.rearm_rows(now, |row| {
                row.id == id && (is_dead_letter(row) || is_waiting(row))
            }),
            Rearm::DeadLetters => self.rearm_rows(now, is_dead_letter),
            Rearm::Waiting => self.rearm_rows(now, is_waiting),
        }
    }

    fn rearm_rows(&mut self, now: Timestamp, which: impl Fn(&Row) -> bool) -> Vec<Job> {
        let mut jobs = Vec::new();
        for row in &mut self.rows {
            if (row.is_active || row.has_webhook) && which(row) {
                if row.is_active {
                    (row.has_webhook, row.svix_app_id) = (false, None);
                }
                row.failed_at = None;
                row.next_attempt_at = Some(now);
                row.armed_at_attempt = row.attempts;
                jobs.push(job(row.id, row.attempts));
            }
        }
        jobs
    }
}
