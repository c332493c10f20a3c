//! Claims and completions of attempts, many in one statement.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;

use super::kept_connection::KeptConnection;
use super::{column, operation};
use crate::clock::Timestamp;
use crate::coalesce::Batch;
use crate::ids::KeyId;
use crate::metrics::Operation;
use crate::store::{Actor, Claim, Job, Outcome, StoreError, sql};

/// A claim that is asked for.
#[derive(Clone)]
pub(super) struct ClaimRequest {
    pub(super) job: Job,
    pub(super) now: Timestamp,
    pub(super) lease_end: Timestamp,
}

/// Claims attempts. Of two copies of a job in one batch, the first gets the claim.
pub(super) struct Claims(pub(super) KeptConnection);

#[async_trait]
impl Batch for Claims {
    const OPERATION: Operation = operation("BATCH claim attempts");
    type Question = ClaimRequest;
    type Answer = Option<Claim>;
    type Error = StoreError;

    async fn prepare(&self) -> Result<(), StoreError> {
        self.0.prepare().await
    }

    async fn run(&self, asked: &[ClaimRequest]) -> Result<Vec<Option<Claim>>, StoreError> {
        let claim = sqlx::query_as(sql::CLAIM_MANY)
            .bind(column(asked, |asked| asked.job.key_id))
            .bind(column(asked, |asked| asked.job.attempt))
            .bind(column(asked, |asked| asked.now))
            .bind(column(asked, |asked| asked.lease_end));
        let claims: Vec<Claim> = self.0.run(claim).await?;
        let claims = claims.into_iter().map(|claim| (claim.job(), claim));
        let mut claims: HashMap<Job, Claim> = claims.collect();
        Ok(asked
            .iter()
            .map(|asked| claims.remove(&asked.job))
            .collect())
    }
}

/// The outcome of an attempt, to be written.
#[derive(Clone)]
pub(super) struct Completion {
    pub(super) key_id: KeyId,
    pub(super) attempt: i32,
    pub(super) lease_end: Timestamp,
    pub(super) outcome: Outcome,
    pub(super) now: Timestamp,
}

/// The identity of a claim: the key, the attempt and the end of the lease.
type ClaimName = (KeyId, i32, Timestamp);

impl Completion {
    fn claim(&self) -> ClaimName {
        (self.key_id, self.attempt, self.lease_end)
    }
}

/// Writes outcomes, with their entries in the audit trail. The answer is false if the claim
/// no longer holds.
pub(super) struct Completions(pub(super) KeptConnection);

#[async_trait]
impl Batch for Completions {
    const OPERATION: Operation = operation("BATCH finish attempts");
    type Question = Completion;
    type Answer = bool;
    type Error = StoreError;

    async fn prepare(&self) -> Result<(), StoreError> {
        self.0.prepare().await
    }

    async fn run(&self, asked: &[Completion]) -> Result<Vec<bool>, StoreError> {
        // Of copies of a completion, the statement gets one, and the others come too late.
        let mut seen = HashSet::new();
        let mut first = Vec::with_capacity(asked.len());
        first.extend(asked.iter().filter(|asked| seen.insert(asked.claim())));
        let finish = sqlx::query_as(sql::FINISH_MANY)
            .bind(column(&first, |asked| asked.key_id))
            .bind(column(&first, |asked| asked.attempt))
            .bind(column(&first, |asked| asked.lease_end))
            .bind(column(&first, |asked| asked.outcome.as_str()))
            .bind(column(&first, |asked| asked.outcome.svix_app_id()))
            .bind(column(&first, |asked| asked.outcome.at()))
            .bind(column(&first, |asked| asked.outcome.error()))
            .bind(column(&first, |asked| asked.now))
            .bind(Actor::Worker.as_str());
        let finished: Vec<ClaimName> = self.0.run(finish).await?;
        let mut finished: HashSet<ClaimName> = finished.into_iter().collect();
        let answers = asked.iter().map(|asked| finished.remove(&asked.claim()));
        Ok(answers.collect())
    }
}
