//! A test of a store against its model, with a queue, workers and a clock.

use std::collections::HashSet;
use std::time::Duration;

use proptest::test_runner::TestCaseError;
use proptest::{prop_assert, prop_assert_eq};
use shared::clock::Timestamp;
use shared::ids::{AccountId, KeyId};
use shared::store::{Canceled, Claim, Job, Outcome, Rearm, Revoked, Started, Work};
use tests::stores::{Row, StoreUnderTest, at, caller, job, new_key};
use worker::job::LEASE;

use super::model::{Model, ModelCanceled, ModelStarted};
use super::step::Step;

/// The events that have happened.
pub type Events = HashSet<&'static str>;
/// The result of a check; an error says which condition did not hold.
pub type Checked<T = ()> = Result<T, TestCaseError>;

/// A limit greater than the number of rows in any sequence.
const ALL: i64 = 1000;

/// A claim that a worker won.
pub struct WonClaim {
    pub claim: Claim,
    /// The row before the claim and after it.
    pub rows: [Row; 2],
    finished: bool,
    crashed: bool,
    /// The database has lost the claim.
    pub lost: bool,
}

/// The state of one sequence.
pub struct ModelTest<'a> {
    pub db: &'a StoreUnderTest,
    pub model: Model,
    /// The rows of the store after the last check.
    pub rows: Vec<Row>,
    pub now: Timestamp,
    pub queue: Vec<Job>,
    /// Every claim that was won, oldest first.
    pub claims: Vec<WonClaim>,
    pub seen: Events,
}

impl<'a> ModelTest<'a> {
    /// Creates a test with no rows. Deletes the rows of earlier sequences.
    pub async fn new(db: &'a StoreUnderTest) -> Self {
        db.execute("DELETE FROM api_partners").await;
        Self {
            db,
            model: Model::default(),
            rows: Vec::new(),
            now: at(0),
            queue: Vec::new(),
            claims: Vec::new(),
            seen: Events::new(),
        }
    }

    /// Runs a step on the store and the model, and checks both.
    #[expect(clippy::too_many_lines, reason = "one short arm for each step")]
    pub async fn run_step(&mut self, step: &Step) -> Checked {
        let written = match step {
            Step::Create { account, nudged } => {
                let key = new_key(&name(*account), self.now);
                let stored = self.db.store.insert_key(&key, &caller()).await.unwrap();
                prop_assert_eq!(stored, self.model.insert_key(&key));
                if stored && *nudged {
                    self.queue.push(job(key.id, 0));
                }
                None
            }
            Step::Revoke { account } => {
                let account = account_id(*account);
                let (store, origin) = (&self.db.store, caller());
                let revoked = store
                    .revoke_keys(&account, self.now, &origin)
                    .await
                    .unwrap();
                let ids: HashSet<KeyId> = revoked.iter().map(|revoked| revoked.key_id).collect();
                let expected = self.model.revoke_keys(&account, self.now);
                prop_assert_eq!(ids, expected.into_iter().collect());
                self.queue.extend(revoked.iter().filter_map(Revoked::job));
                None
            }
            Step::StartRotation { account, overlap } => {
                self.start_rotation(*account, Duration::from_secs(*overlap))
                    .await?;
                None
            }
            Step::FinishRotation { account } => {
                let account = account_id(*account);
                let (store, origin) = (&self.db.store, caller());
                let ended = store.finish_rotation(&account, self.now, &origin).await;
                let ended = ended.unwrap();
                let expected = self.model.finish_rotation(&account, self.now);
                prop_assert_eq!(ended.as_ref().map(|ended| ended.key_id), expected);
                self.queue.extend(ended.and_then(|ended| ended.job()));
                None
            }
            Step::CancelRotation { account } => {
                self.cancel_rotation(&account_id(*account)).await?;
                None
            }
            Step::Adopt { account } => {
                let account = account_id(*account);
                if let Some(id) = self.model.previous(&account).map(|row| row.id) {
                    let adopted = self.db.store.adopt_application(id, self.now).await.unwrap();
                    let expected = self.model.adopt_application(id, self.now);
                    prop_assert_eq!(&adopted, &expected);
                    if adopted.is_some() {
                        self.seen.insert("a replaced key got its application later");
                    }
                }
                None
            }
            Step::OpenPortal { account } => {
                self.open_portal(&account_id(*account)).await?;
                None
            }
            Step::Nudge { account } => {
                let account = account_id(*account);
                let mut rows = self.rows.iter().rev();
                let newest = rows.find(|row| row.account_id == account);
                self.queue.extend(newest.map(|row| job(row.id, 0)));
                None
            }
            Step::Duplicate { job } => {
                let copied = newest(self.queue.len(), *job).map(|i| self.queue[i]);
                self.queue.extend(copied);
                None
            }
            Step::Claim { job } => {
                if let Some(i) = newest(self.queue.len(), *job) {
                    let job = self.queue.remove(i);
                    self.claim(job).await?;
                }
                None
            }
            Step::Plant { account } => {
                self.plant(&account_id(*account)).await?;
                None
            }
            Step::Succeed { claim } => self.finish(*claim, None).await?,
            Step::SucceedLate => self.succeed_late().await?,
            Step::Retry { claim, delay } => {
                let at = self.now + Duration::from_secs(*delay);
                let error = "HTTP 500".to_owned();
                self.finish(*claim, Some(Outcome::Retry { at, error }))
                    .await?
            }
            Step::DeadLetter { claim } => {
                let (at, error) = (self.now, "HTTP 422".to_owned());
                self.finish(*claim, Some(Outcome::DeadLetter { at, error }))
                    .await?
            }
            Step::LoseClaim { claim } => {
                self.lose_claim(*claim).await;
                None
            }
            Step::Crash { claim } => {
                if let Some(i) = self.uncrashed_claim(*claim) {
                    self.claims[i].crashed = true;
                }
                None
            }
            Step::PassTime { seconds } => {
                self.now = self.now + Duration::from_secs(*seconds);
                None
            }
            Step::Sweep => {
                let due = self.due().await?;
                self.queue.extend(due);
                None
            }
            Step::LoseRedis => {
                self.queue.clear();
                None
            }
            Step::Reprovision {
                account,
                previous,
                nudged,
            } => {
                let account = account_id(*account);
                let row = if *previous {
                    self.model.previous(&account)
                } else {
                    self.model.active(&account)
                };
                if let Some(id) = row.map(|row| row.id) {
                    let sent = self.db.store.reprovision(id, self.now).await.unwrap();
                    let expected = self.model.reprovision(id, self.now);
                    self.check_rearmed(sent.into_iter().collect(), expected, *nudged)?;
                }
                None
            }
            Step::RetryOne { account, nudged } => {
                if let Some(id) = self.model.active(&account_id(*account)).map(|row| row.id) {
                    self.rearm(Rearm::One(id), *nudged).await?;
                }
                None
            }
            Step::RetryDeadLetters { nudged } => {
                self.rearm(Rearm::DeadLetters, *nudged).await?;
                None
            }
            Step::RetryWaiting { nudged } => {
                self.rearm(Rearm::Waiting, *nudged).await?;
                None
            }
        };
        self.check(written.as_ref()).await
    }

    /// Replaces the account's key in the store and the model.
    async fn start_rotation(&mut self, account: u8, overlap: Duration) -> Checked {
        let (key, end) = (new_key(&name(account), self.now), self.now + overlap);
        let started = self.db.store.start_rotation(&key, end, &caller()).await;
        let expected = self.model.start_rotation(&key, end);
        match started.unwrap() {
            Started::Started { previous, job } => {
                let provisions = job.is_some();
                prop_assert_eq!(expected, ModelStarted::Started(previous.key_id));
                self.queue.extend(job);
                self.seen.insert(if provisions {
                    "a key was replaced before it was provisioned"
                } else {
                    "a provisioned key was replaced"
                });
            }
            Started::UnderWay => {
                prop_assert_eq!(expected, ModelStarted::UnderWay);
                self.seen.insert("a second rotation was refused");
            }
            Started::NoKey => prop_assert_eq!(expected, ModelStarted::NoKey),
            Started::Repeated(key) => prop_assert!(false, "no request is repeated: {key:?}"),
        }
        Ok(())
    }

    /// Cancels the account's rotation in the store and the model.
    async fn cancel_rotation(&mut self, account: &AccountId) -> Checked {
        let (store, origin) = (&self.db.store, caller());
        let canceled = store.cancel_rotation(account, self.now, &origin).await;
        let canceled = canceled.unwrap();
        let expected = self.model.cancel_rotation(account, self.now);
        match canceled {
            Canceled::Canceled { revoked, job } => {
                prop_assert_eq!(expected, ModelCanceled::Canceled);
                self.queue.extend(job);
                self.queue.extend(revoked.and_then(|key| key.job()));
                self.seen.insert("a rotation was canceled");
            }
            Canceled::Nothing => prop_assert_eq!(expected, ModelCanceled::Nothing),
            Canceled::Over => {
                prop_assert_eq!(expected, ModelCanceled::Over);
                self.seen.insert("a rotation was over and not canceled");
            }
        }
        Ok(())
    }

    /// Hands out a portal link for the key that was replaced. A link needs work that will
    /// end its portal session.
    async fn open_portal(&mut self, account: &AccountId) -> Checked {
        let Some(row) = self.model.previous(account).cloned() else {
            return Ok(());
        };
        let (store, origin) = (&self.db.store, caller());
        let opened = store.record_portal_opened(row.id, self.now, &origin).await;
        let opened = opened.unwrap();
        let is_live = row.expires_at.is_some_and(|end| end > self.now);
        let will_end = row.next_attempt_at == row.expires_at && row.leased_until.is_none();
        prop_assert_eq!(opened, is_live && will_end);
        Ok(())
    }

    /// Returns the jobs that the store lists as due, and checks them against the model.
    pub async fn due(&self) -> Checked<Vec<Job>> {
        let due = self.db.store.due(self.now, 0, ALL).await.unwrap();
        let found: HashSet<Job> = due.iter().copied().collect();
        let expected: HashSet<Job> = self.model.due(self.now).into_iter().collect();
        prop_assert_eq!(found, expected);
        Ok(due)
    }

    /// Claims a job in the store and the model, and returns the claim if it was won.
    pub async fn claim(&mut self, job: Job) -> Checked<Option<Claim>> {
        let lease_end = self.now + LEASE;
        let won = self.db.store.claim(job, self.now, lease_end).await.unwrap();
        let expected = self.model.claim(job, self.now, lease_end);
        prop_assert_eq!(&won, &expected, "{:?}", job);
        let Some(claim) = won.clone() else {
            self.seen.insert("a job won no claim");
            let mut rows = self.rows.iter();
            let row = rows.find(|row| row.id == job.key_id);
            if row.is_some_and(|row| row.attempts == job.attempt && row.next_attempt_at.is_some()) {
                self.seen.insert("a job that came too early won no claim");
            }
            return Ok(None);
        };
        self.seen.insert("a claim was won");
        let row = |rows: &[Row]| rows.iter().find(|row| row.id == claim.key_id).cloned();
        let before = row(&self.rows).expect("a claimed row was there before");
        for other in &self.claims {
            if other.claim.key_id == claim.key_id && !other.lost {
                prop_assert!(
                    other.claim.attempt < claim.attempt,
                    "an attempt was claimed twice"
                );
                // A rotation, or its cancellation, takes a claim back.
                let lease_end = other.claim.lease_end;
                let is_kept = before.leased_until == Some(lease_end);
                let is_live = !other.finished && is_kept && lease_end > self.now;
                prop_assert!(!is_live, "two live claims: {:?}, {claim:?}", other.claim);
                if !other.finished {
                    self.seen
                        .insert("a lease expired and another attempt followed");
                }
            }
        }
        let after = row(&self.model.rows).expect("the model has the row");
        self.claims.push(WonClaim {
            claim,
            rows: [before, after],
            finished: false,
            crashed: false,
            lost: false,
        });
        self.check(None).await?;
        Ok(won)
    }

    /// Completes a claim with an outcome, or with the success of its work. Returns the
    /// claim if the outcome was written.
    async fn finish(&mut self, which: u8, outcome: Option<Outcome>) -> Checked<Option<Claim>> {
        match self.uncrashed_claim(which) {
            Some(i) => self.finish_claim(i, outcome).await,
            None => Ok(None),
        }
    }

    async fn finish_claim(&mut self, i: usize, outcome: Option<Outcome>) -> Checked<Option<Claim>> {
        let claim = self.claims[i].claim.clone();
        let outcome = outcome.unwrap_or_else(|| self.success(&claim));
        let written = self
            .db
            .store
            .finish(&claim, &outcome, self.now)
            .await
            .unwrap();
        let row = self.rows.iter().find(|row| row.id == claim.key_id);
        let row = row.expect("rows are never deleted");
        let is_leased = row.leased_until.is_some();
        let WonClaim { finished, lost, .. } = self.claims[i];
        let is_owner = is_leased && row.attempts == claim.attempt && !finished && !lost;
        prop_assert_eq!(
            written,
            is_owner,
            "only the owner completes a claim: {:?}",
            &claim
        );
        prop_assert_eq!(written, self.model.finish(&claim, &outcome));
        self.seen.insert(match outcome {
            _ if finished => "the second completion of a claim was refused",
            _ if lost => "a lost claim was refused",
            _ if !row.is_active && !written => "the claim of a revoked key was refused",
            _ if !written => "an older claim was refused",
            Outcome::Provisioned { .. } => "a success was written",
            Outcome::PortalSessionsEnded => "portal sessions were ended",
            Outcome::Retry { .. } => "a failure was written",
            Outcome::DeadLetter { .. } => "a dead letter was written",
        });
        self.claims[i].finished |= written;
        Ok(written.then_some(claim))
    }

    /// Re-arms rows in the store and the model.
    async fn rearm(&mut self, which: Rearm, nudged: bool) -> Checked {
        let sent = self.db.store.rearm(which, self.now, ALL).await.unwrap();
        let expected = self.model.rearm(which, self.now);
        self.check_rearmed(sent, expected, nudged)
    }

    /// Compares the jobs that were re-armed, and sends them to the queue if `nudged`.
    fn check_rearmed(&mut self, sent: Vec<Job>, expected: Vec<Job>, nudged: bool) -> Checked {
        if !sent.is_empty() {
            self.seen.insert("work was re-armed");
        }
        if nudged {
            self.queue.extend(&sent);
        }
        let (sent, expected): (HashSet<Job>, HashSet<Job>) =
            (sent.into_iter().collect(), expected.into_iter().collect());
        prop_assert_eq!(sent, expected);
        Ok(())
    }

    /// Chooses a claim whose worker has not crashed. The claim may have been completed.
    fn uncrashed_claim(&self, which: u8) -> Option<usize> {
        let alive = (0..self.claims.len()).filter(|i| !self.claims[*i].crashed);
        let alive: Vec<usize> = alive.collect();
        newest(alive.len(), which).map(|i| alive[i])
    }

    /// Claims the next attempt for the account's newest key, whether it is due or not.
    async fn plant(&mut self, account: &AccountId) -> Checked {
        let mut rows = self.rows.iter().rev();
        let newest = rows.find(|row| row.account_id == *account);
        if let Some(planted) = newest.map(|row| job(row.id, row.attempts)) {
            self.claim(planted).await?;
        }
        Ok(())
    }

    /// Completes a claim that was overtaken, if there is one.
    async fn succeed_late(&mut self) -> Checked<Option<Claim>> {
        match self.overtaken_claim() {
            Some(i) => self.finish_claim(i, None).await,
            None => Ok(None),
        }
    }

    /// Chooses a claim that is not completed, of a worker that has not crashed, while there
    /// is a newer claim of the same row.
    fn overtaken_claim(&self) -> Option<usize> {
        let is_overtaken = |i: &usize| {
            let won = &self.claims[*i];
            let newer = &self.claims[i + 1..];
            let same_row = |other: &WonClaim| other.claim.key_id == won.claim.key_id;
            !won.finished && !won.crashed && newer.iter().any(same_row)
        };
        (0..self.claims.len()).find(is_overtaken)
    }

    /// Returns the success of the claim's work, with an application id that is new for
    /// each claim.
    pub fn success(&self, claim: &Claim) -> Outcome {
        match claim.work() {
            Work::Provision => {
                let svix_app_id = format!("app_{}", self.claims.len());
                Outcome::Provisioned { svix_app_id }
            }
            Work::EndPortalSessions { .. } => Outcome::PortalSessionsEnded,
        }
    }
}

/// Returns the index of one of `count` items. `which` counts from the newest.
pub fn newest(count: usize, which: u8) -> Option<usize> {
    (count > 0).then(|| count - 1 - usize::from(which) % count)
}

fn name(account: u8) -> String {
    format!("account-{account}")
}

fn account_id(account: u8) -> AccountId {
    AccountId::parse(name(account)).unwrap()
}
