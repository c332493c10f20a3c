//! The one job: make sure that the account's Svix application exists, and say
//! so in the row.

use std::sync::Arc;
use std::time::Duration;

use shared::clock::Clock;
use shared::retry;
use shared::store::{Claim, Job, Outcome, Store};
use shared::svix::{SvixClient, SvixConfig};
use tokio::time::Instant;
use tracing::Instrument;

/// How long one call to Svix may take.
const SVIX_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a claim lasts: two calls to Svix (create, and get after a 409), and
/// clocks that are up to 30 s apart, so that no worker takes a claim for expired
/// while its owner may still be at it.
pub const LEASE: Duration = Duration::from_mins(1);

/// For how long writing an outcome is tried again, a second apart, while the
/// database is unavailable. After that the lease runs out, and the next attempt
/// finds the application made.
const FINISH_WITHIN: Duration = Duration::from_secs(15);

/// Provisions webhooks. Cheap to clone.
#[derive(Clone)]
pub struct Provisioner {
    store: Arc<dyn Store>,
    svix: SvixClient,
    clock: Clock,
}

impl Provisioner {
    /// A provisioner that reads its time from `clock`.
    pub fn new(store: Arc<dyn Store>, svix: &SvixConfig, clock: Clock) -> Self {
        let svix = SvixClient::new(svix, SVIX_TIMEOUT);
        Self { store, svix, clock }
    }

    /// Makes the attempt that the job names, unless it is another's or nobody's
    /// any more. Never fails: what went wrong is in the row, or the row is as it
    /// was and the sweep sends it again.
    pub async fn run(&self, job: Job) {
        let span = tracing::info_span!("provision", key_id = %job.key_id);
        self.attempt(job).instrument(span).await;
    }

    async fn attempt(&self, job: Job) {
        let now = self.clock.now();
        let claim = match self.store.claim(job, now + LEASE).await {
            Ok(Some(claim)) => claim,
            Ok(None) => return tracing::debug!(attempt = job.attempt, "nothing to do"),
            Err(error) => {
                return tracing::warn!(%error, "not claimed; the sweep will send it again");
            }
        };
        let age_ms = u64::try_from(now.since(claim.created_at).as_millis()).unwrap_or(u64::MAX);
        tracing::info!(attempt = claim.attempt, age_ms, "claimed");

        let outcome = match self.svix.ensure_application(&claim.account_id).await {
            Ok(svix_app_id) => Outcome::Provisioned { svix_app_id },
            Err(error) => {
                error.alarm_if_misconfigured();
                retry::outcome_of(&error, claim.tries, self.clock.now(), &mut rand::rng())
            }
        };
        self.finish(&claim, &outcome).await;
    }

    async fn finish(&self, claim: &Claim, outcome: &Outcome) {
        let began = Instant::now();
        while began.elapsed() < FINISH_WITHIN {
            match self.store.finish(claim, outcome).await {
                Ok(true) => return log(claim, outcome),
                Ok(false) => {
                    tracing::info!(attempt = claim.attempt, "no longer ours; nothing written");
                    return;
                }
                Err(error) if error.is_transient() => {
                    tracing::warn!(attempt = claim.attempt, %error, "outcome not written yet");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(error) => {
                    tracing::error!(attempt = claim.attempt, %error, "outcome not written");
                    return;
                }
            }
        }
    }
}

fn log(claim: &Claim, outcome: &Outcome) {
    let attempt = claim.attempt;
    match outcome {
        Outcome::Provisioned { svix_app_id } => {
            tracing::info!(attempt, svix_app_id, "provisioned");
        }
        Outcome::Retry { at, error } => {
            tracing::warn!(attempt, %error, next_attempt_at = %at, "failed; will be tried again");
        }
        Outcome::DeadLetter { error, .. } => {
            tracing::error!(attempt, %error, "failed for good: a dead letter");
        }
    }
}
