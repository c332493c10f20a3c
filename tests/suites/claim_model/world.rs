//! A store, the model beside it, a queue, workers, and the time.

use std::collections::HashSet;
use std::time::Duration;

use proptest::test_runner::TestCaseError;
use proptest::{prop_assert, prop_assert_eq};
use shared::clock::Timestamp;
use shared::ids::AccountId;
use shared::store::{Claim, Job, Outcome, Rearm};
use tests::stores::{Row, StoreUnderTest, at, job, new_key};
use worker::provision_webhook::LEASE;

use super::model::Model;
use super::step::Step;

pub type Seen = HashSet<&'static str>;
pub type Checked<T = ()> = Result<T, TestCaseError>;

/// More than any case has rows.
const ALL: i64 = 1000;

/// A claim that was won.
pub struct Held {
    pub claim: Claim,
    lease_end: Timestamp,
    finished: bool,
    crashed: bool,
}

pub struct World<'a> {
    pub db: &'a StoreUnderTest,
    pub model: Model,
    pub rows: Vec<Row>,
    pub now: Timestamp,
    pub queue: Vec<Job>,
    pub held: Vec<Held>,
    pub seen: Seen,
}

impl<'a> World<'a> {
    /// An empty one.
    pub async fn new(db: &'a StoreUnderTest) -> Self {
        db.execute("DELETE FROM api_partners").await;
        Self {
            db,
            model: Model::default(),
            rows: Vec::new(),
            now: at(0),
            queue: Vec::new(),
            held: Vec::new(),
            seen: Seen::new(),
        }
    }

    /// Takes a step, and checks everything.
    pub async fn take(&mut self, step: &Step) -> Checked {
        let written = match step {
            Step::Mint { account, nudged } => {
                let key = new_key(&name(*account), self.now);
                let stored = self.db.store.insert_key(&key).await.unwrap();
                prop_assert_eq!(stored, self.model.insert_key(&key));
                if stored && *nudged {
                    self.queue.push(job(key.id, 0));
                }
                None
            }
            Step::Revoke { account } => {
                let account = account_id(*account);
                let revoked = self.db.store.revoke_key(&account, self.now).await.unwrap();
                let expected = self.model.revoke_key(&account, self.now);
                prop_assert_eq!(revoked.map(|revoked| revoked.id), expected);
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
            Step::Succeed { claim } => self.finish(*claim, self.success()).await?,
            Step::Fail { claim, delay } => {
                let at = self.now + Duration::from_secs(*delay);
                let error = "HTTP 500".to_owned();
                self.finish(*claim, Outcome::Retry { at, error }).await?
            }
            Step::GiveUp { claim } => {
                let (at, error) = (self.now, "HTTP 422".to_owned());
                self.finish(*claim, Outcome::DeadLetter { at, error })
                    .await?
            }
            Step::Crash { claim } => {
                if let Some(i) = self.worker(*claim) {
                    self.held[i].crashed = true;
                }
                None
            }
            Step::Pass { seconds } => {
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
            Step::Reprovision { account, nudged } => {
                if let Some(id) = self.model.active(&account_id(*account)).map(|row| row.id) {
                    let sent = self.db.store.reprovision(id, self.now).await.unwrap();
                    let expected = self.model.reprovision(id, self.now);
                    self.armed(sent.into_iter().collect(), expected, *nudged)?;
                }
                None
            }
            Step::RetryOne { account, nudged } => {
                if let Some(id) = self.model.active(&account_id(*account)).map(|row| row.id) {
                    self.rearm(Rearm::One(id), *nudged).await?;
                }
                None
            }
            Step::RetryFailed { nudged } => {
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

    pub async fn due(&self) -> Checked<Vec<Job>> {
        let due = self.db.store.due(self.now, ALL).await.unwrap();
        let found: HashSet<Job> = due.iter().copied().collect();
        let expected: HashSet<Job> = self.model.due(self.now).into_iter().collect();
        prop_assert_eq!(found, expected);
        Ok(due)
    }

    pub async fn claim(&mut self, job: Job) -> Checked<Option<Claim>> {
        let lease_end = self.now + LEASE;
        let won = self.db.store.claim(job, lease_end).await.unwrap();
        let expected = self.model.claim(job, lease_end);
        prop_assert_eq!(&won, &expected, "{:?}", job);
        let Some(claim) = won.clone() else {
            self.seen.insert("a job came to nothing");
            return Ok(None);
        };
        self.seen.insert("a claim was won");
        for other in &self.held {
            if other.claim.key_id == claim.key_id {
                prop_assert!(
                    other.claim.attempt < claim.attempt,
                    "an attempt was repeated"
                );
                let is_live = !other.finished && other.lease_end > self.now;
                prop_assert!(!is_live, "two live claims: {:?}, {claim:?}", other.claim);
                if !other.finished {
                    self.seen
                        .insert("a lease ran out and its attempt was followed by another");
                }
            }
        }
        self.held.push(Held {
            claim,
            lease_end,
            finished: false,
            crashed: false,
        });
        self.check(None).await?;
        Ok(won)
    }

    /// Finishes with a claim; gives it, if that was written.
    async fn finish(&mut self, which: u8, outcome: Outcome) -> Checked<Option<Claim>> {
        let Some(i) = self.worker(which) else {
            return Ok(None);
        };
        let claim = self.held[i].claim.clone();
        let written = self.db.store.finish(&claim, &outcome).await.unwrap();
        let row = self.rows.iter().find(|row| row.id == claim.key_id);
        let row = row.expect("rows are never deleted");
        let is_owner = row.is_active && row.attempts == claim.attempt && !self.held[i].finished;
        prop_assert_eq!(written, is_owner, "only the owner finishes: {:?}", &claim);
        prop_assert_eq!(written, self.model.finish(&claim, &outcome));
        self.seen.insert(match outcome {
            _ if self.held[i].finished => "a claim was refused its second completion",
            _ if !row.is_active => "the claim of a revoked key was refused",
            _ if !written => "an older claim was refused",
            Outcome::Provisioned { .. } => "a success was written",
            Outcome::Retry { .. } => "a failure was written",
            Outcome::DeadLetter { .. } => "a dead letter was written",
        });
        self.held[i].finished |= written;
        Ok(written.then_some(claim))
    }

    async fn rearm(&mut self, which: Rearm, nudged: bool) -> Checked {
        let sent = self.db.store.rearm(which, self.now, ALL).await.unwrap();
        let expected = self.model.rearm(which, self.now);
        self.armed(sent, expected, nudged)
    }

    fn armed(&mut self, sent: Vec<Job>, expected: Vec<Job>, nudged: bool) -> Checked {
        if !sent.is_empty() {
            self.seen.insert("work was armed anew");
        }
        if nudged {
            self.queue.extend(&sent);
        }
        let (sent, expected): (HashSet<Job>, HashSet<Job>) =
            (sent.into_iter().collect(), expected.into_iter().collect());
        prop_assert_eq!(sent, expected);
        Ok(())
    }

    /// A worker that has, or had, a claim and lives.
    fn worker(&self, which: u8) -> Option<usize> {
        let alive = (0..self.held.len()).filter(|i| !self.held[*i].crashed);
        let alive: Vec<usize> = alive.collect();
        newest(alive.len(), which).map(|i| alive[i])
    }

    pub fn success(&self) -> Outcome {
        let svix_app_id = format!("app_{}", self.held.len());
        Outcome::Provisioned { svix_app_id }
    }
}

/// The index of one of so many, counted from the newest.
fn newest(count: usize, which: u8) -> Option<usize> {
    (count > 0).then(|| count - 1 - usize::from(which) % count)
}

fn name(account: u8) -> String {
    format!("account-{account}")
}

fn account_id(account: u8) -> AccountId {
    AccountId::parse(name(account)).unwrap()
}
