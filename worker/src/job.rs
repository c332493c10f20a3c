//! A job, from top to bottom: claims an attempt, makes it, and records the outcome in
//! the row.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use shared::clock::Clock;
use shared::metrics::{self, AttemptOutcome};
use shared::queue::{JobHandler, Rest};
use shared::retry;
use shared::store::{Claim, Job, Outcome, Store, Work};
use shared::svix::{SvixClient, SvixConfig};
use shared::telemetry::{self, Subject};
use shared::trace;
use tokio::time::Instant;
use tracing::{Instrument, Span};

use crate::{end_portal_sessions, provision_webhook};

/// The time limit for one call to Svix.
const SVIX_TIMEOUT: Duration = Duration::from_secs(10);

/// The duration of a claim. It covers two calls to Svix (create, and get after a 409)
/// and clocks that are up to 30 s apart, so that no worker takes a lease for expired
/// while its owner may still be working.
pub const LEASE: Duration = Duration::from_mins(1);

/// The time for which a worker retries to write an outcome, once a second, while the
/// database is unavailable. After that the lease runs out, and the next attempt finds
/// the work already done.
const FINISH_WITHIN: Duration = Duration::from_secs(15);

/// Makes the attempts that jobs name.
pub struct JobRunner {
    store: Arc<dyn Store>,
    svix: SvixClient,
    clock: Clock,
}

#[async_trait]
impl JobHandler for JobRunner {
    /// Makes the attempt that the job names. Does nothing if another worker has
    /// claimed it, or if the key was revoked meanwhile.
    async fn handle(&self, job: Job) -> Rest {
        let trace = trace::job(job);
        let attempt = about(job, &trace, self.attempt(job)).instrument(trace.clone());
        match attempt.await {
            Some(made) => about(job, &trace, made.finish()).instrument(trace).boxed(),
            None => ready(()).boxed(),
        }
    }
}

/// Runs a future whose log lines name the job's key.
fn about<F: Future>(job: Job, trace: &Span, future: F) -> impl Future<Output = F::Output> + use<F> {
    telemetry::about(Subject::Job(job.key_id), trace, future)
}

impl JobRunner {
    /// Creates a runner that takes the time from `clock`.
    pub fn new(store: Arc<dyn Store>, svix: &SvixConfig, clock: Clock) -> Self {
        let svix = SvixClient::new(svix, SVIX_TIMEOUT);
        Self { store, svix, clock }
    }

    /// Claims the attempt and makes it. Returns `None` if there is nothing to do.
    async fn attempt(&self, job: Job) -> Option<Made> {
        let now = self.clock.now();
        let claim = match self.store.claim(job, now, now + LEASE).await {
            Ok(Some(claim)) => claim,
            Ok(None) => {
                // Done, not due yet, or claimed by another worker.
                tracing::debug!(attempt = job.attempt, "nothing to do");
                return None;
            }
            Err(error) => {
                tracing::warn!(%error, "the claim failed; the sweep will send the job again");
                return None;
            }
        };
        if claim.after_expired_lease {
            metrics::LEASES_EXPIRED.inc();
        }
        let age_ms = u64::try_from(now.since(claim.created_at).as_millis()).unwrap_or(u64::MAX);
        tracing::info!(attempt = claim.attempt, age_ms, "claimed");

        let made = match claim.work() {
            Work::Provision => provision_webhook::run(&self.svix, &claim).await,
            Work::EndPortalSessions { svix_app_id } => {
                end_portal_sessions::run(&self.svix, &claim, svix_app_id).await
            }
        };
        let outcome = made.unwrap_or_else(|error| {
            error.alarm_if_misconfigured();
            retry::outcome_of(&error, claim.tries, self.clock.now(), &mut rand::rng())
        });
        Some(Made {
            store: Arc::clone(&self.store),
            clock: self.clock.clone(),
            claim,
            outcome,
        })
    }
}

/// An attempt that was made, and whose outcome is to be written.
struct Made {
    store: Arc<dyn Store>,
    clock: Clock,
    claim: Claim,
    outcome: Outcome,
}

impl Made {
    /// Writes the outcome, and retries while the database is unavailable.
    async fn finish(self) {
        let (claim, outcome) = (&self.claim, &self.outcome);
        let began = Instant::now();
        while began.elapsed() < FINISH_WITHIN {
            match self.store.finish(claim, outcome, self.clock.now()).await {
                Ok(true) => {
                    if matches!(outcome, Outcome::Provisioned { .. }) && claim.is_first_work() {
                        metrics::provisioned(self.clock.now().since(claim.created_at));
                    }
                    return log_outcome(claim, outcome);
                }
                Ok(false) => {
                    ended_as(AttemptOutcome::Superseded);
                    tracing::info!(
                        attempt = claim.attempt,
                        "the claim is no longer ours; nothing was written"
                    );
                    return;
                }
                Err(error) if error.is_transient() => {
                    tracing::warn!(attempt = claim.attempt, %error, "the outcome is not written yet; retrying");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(error) => {
                    tracing::error!(attempt = claim.attempt, %error, "the outcome could not be written");
                    break;
                }
            }
        }
        ended_as(AttemptOutcome::NotWritten);
    }
}

/// Counts the outcome, and adds it to the trace.
fn ended_as(outcome: AttemptOutcome) {
    metrics::attempted(outcome);
    trace::attempted(outcome);
}

/// Logs the outcome that was written, and counts it.
fn log_outcome(claim: &Claim, outcome: &Outcome) {
    let attempt = claim.attempt;
    ended_as(match outcome {
        Outcome::Provisioned { .. } => AttemptOutcome::Provisioned,
        Outcome::PortalSessionsEnded => AttemptOutcome::PortalSessionsEnded,
        Outcome::Retry { .. } => AttemptOutcome::Retry,
        Outcome::DeadLetter { .. } => AttemptOutcome::DeadLetter,
    });
    match outcome {
        Outcome::Provisioned { svix_app_id } => {
            tracing::info!(attempt, svix_app_id, "provisioned");
        }
        Outcome::PortalSessionsEnded => tracing::info!(attempt, "the portal sessions have ended"),
        Outcome::Retry { at, error } => {
            tracing::warn!(attempt, %error, next_attempt_at = %at, "the attempt failed and will be retried");
        }
        Outcome::DeadLetter { error, .. } => {
            tracing::error!(attempt, %error, "the attempt failed and is a dead letter now");
        }
    }
}
