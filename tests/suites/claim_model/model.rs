//! A model of the store that keeps its rows in a list.

use shared::clock::Timestamp;
use shared::ids::{AccountId, KeyId};
use shared::store::{Claim, Job, NewKey, Outcome, Rearm};
use tests::stores::{Row, job, minted};

/// What the model expects of the start of a rotation.
#[derive(Debug, PartialEq, Eq)]
pub enum ModelStarted {
    Started(KeyId),
    UnderWay,
    NoKey,
}

/// What the model expects of the cancellation of a rotation.
#[derive(Debug, PartialEq, Eq)]
pub enum ModelCanceled {
    Canceled,
    Nothing,
    Over,
}

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

    /// Returns the key of the account that was replaced. Its end may have passed.
    pub fn previous(&self, account: &AccountId) -> Option<&Row> {
        let mut rows = self.rows.iter();
        rows.find(|row| row.expires_at.is_some() && row.account_id == *account)
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

    /// Returns the keys that worked until then.
    pub fn revoke_keys(&mut self, account: &AccountId, now: Timestamp) -> Vec<KeyId> {
        let ids = [self.active(account), self.previous(account)].map(|row| row.map(|row| row.id));
        let ids = ids.into_iter().flatten();
        ids.filter(|id| self.end(*id, now)).collect()
    }

    /// Ends a key. Returns false if it had ended before.
    fn end(&mut self, id: KeyId, now: Timestamp) -> bool {
        let row = self.row(id).expect("the row is there");
        if row.expires_at.take().is_some_and(|end| end <= now) {
            return row.revoked_at == Some(now);
        }
        row.is_active = false;
        row.revoked_at = Some(now);
        row.armed_at_attempt = row.attempts;
        row.next_attempt_at = row.has_webhook.then_some(now);
        if row.has_webhook {
            row.failed_at = None;
        }
        row.leased_until = None;
        true
    }

    pub fn start_rotation(&mut self, key: &NewKey, end: Timestamp) -> ModelStarted {
        let (account, now) = (&key.account_id, key.created_at);
        let Some(id) = self.active(account).map(|row| row.id) else {
            return ModelStarted::NoKey;
        };
        if let Some(previous) = self.previous(account) {
            if previous.expires_at > Some(now) {
                return ModelStarted::UnderWay;
            }
            let over = previous.id;
            self.row(over).expect("it was found").expires_at = None;
        }
        self.end(id, now);
        let row = self.row(id).expect("it was found");
        row.revoked_at = Some(end);
        row.expires_at = (end > now).then_some(end);
        row.next_attempt_at = row.has_webhook.then_some(end);
        row.failed_at = None;
        let successor = Row {
            has_webhook: row.has_webhook,
            svix_app_id: row.svix_app_id.clone(),
            next_attempt_at: (!row.has_webhook).then_some(now),
            replaces: Some(id),
            ..minted(key)
        };
        self.rows.push(successor);
        ModelStarted::Started(id)
    }

    /// Returns the key that worked until then.
    pub fn finish_rotation(&mut self, account: &AccountId, now: Timestamp) -> Option<KeyId> {
        let id = self.previous(account)?.id;
        self.end(id, now).then_some(id)
    }

    pub fn cancel_rotation(&mut self, account: &AccountId, now: Timestamp) -> ModelCanceled {
        let successor = self.active(account).cloned();
        let Some(previous) = self.previous(account) else {
            let replaces = successor.and_then(|row| row.replaces);
            return match replaces {
                Some(_) => ModelCanceled::Over,
                None => ModelCanceled::Nothing,
            };
        };
        if previous.expires_at <= Some(now) {
            return ModelCanceled::Over;
        }
        let id = previous.id;
        if let Some(successor) = &successor {
            self.end(successor.id, now);
        }
        let svix_app_id = successor.and_then(|row| row.svix_app_id);
        let row = self.row(id).expect("it was found");
        *row = Row {
            is_active: true,
            revoked_at: None,
            expires_at: None,
            replaces: None,
            has_webhook: svix_app_id.is_some(),
            next_attempt_at: svix_app_id.is_none().then_some(now),
            svix_app_id,
            leased_until: None,
            failed_at: None,
            last_error: None,
            armed_at_attempt: row.attempts,
            ..row.clone()
        };
        ModelCanceled::Canceled
    }

    pub fn adopt_application(&mut self, id: KeyId, now: Timestamp) -> Option<String> {
        let account = self.row(id)?.account_id.clone();
        let svix_app_id = self.active(&account)?.svix_app_id.clone()?;
        let row = self.row(id)?;
        if row.has_webhook || row.expires_at <= Some(now) {
            return None;
        }
        row.has_webhook = true;
        row.svix_app_id = Some(svix_app_id.clone());
        row.next_attempt_at = row.expires_at;
        row.armed_at_attempt = row.attempts;
        (row.failed_at, row.last_error) = (None, None);
        Some(svix_app_id)
    }

    pub fn due(&self, now: Timestamp) -> Vec<Job> {
        let due = |row: &&Row| row.next_attempt_at.is_some_and(|at| at <= now);
        let rows = self.rows.iter().filter(due);
        rows.map(|row| job(row.id, row.attempts)).collect()
    }

    pub fn claim(&mut self, job: Job, now: Timestamp, lease_end: Timestamp) -> Option<Claim> {
        let row = self.row(job.key_id)?;
        let is_first = row.attempts == row.armed_at_attempt && row.expires_at.is_none();
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
            lease_end,
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
        let is_kept = row.leased_until == Some(claim.lease_end);
        if row.attempts != claim.attempt || !is_kept || !fits {
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
        let Some(row) = self.row(id).cloned() else {
            return Vec::new();
        };
        let (account, svix_app_id) = (row.account_id, row.svix_app_id);
        for row in &mut self.rows {
            let has_it = row.has_webhook && row.svix_app_id == svix_app_id;
            let is_previous = row.expires_at > Some(now) && row.leased_until.is_none();
            if row.account_id == account && has_it && is_previous {
                (row.has_webhook, row.svix_app_id) = (false, None);
                (row.next_attempt_at, row.armed_at_attempt) = (None, row.attempts);
            }
        }
        self.rearm_rows(now, |row| {
            let has_it = row.has_webhook && row.svix_app_id == svix_app_id;
            row.account_id == account && row.is_active && has_it
        })
    }

    pub fn rearm(&mut self, which: Rearm, now: Timestamp) -> Vec<Job> {
        let is_waiting = |row: &Row| {
            let is_later = row.next_attempt_at.is_some_and(|at| at > now);
            let is_over = row.expires_at.is_none_or(|end| end <= now);
            is_later && is_over && row.leased_until.is_none()
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
