//! The limits on what one caller may do, so that no one starves the others.
//!
//! They are counted in this process alone, without a network call, and in bounded
//! memory: with several processes, a caller may do as much at each of them.

mod failures;
mod rate_limit;

use std::time::Duration;

use shared::config::LimitConfig;
use shared::ids::{AccountId, KeyId};
use shared::metrics::{self, Limit};

use crate::error::{ApiError, ErrorCode, messages};
use crate::http::ClientAddress;
use failures::Failures;
use rate_limit::RateLimit;

/// The limits of this process.
pub struct Limits {
    create: Option<RateLimit<AccountId>>,
    portal: Option<RateLimit<KeyId>>,
    failures: Option<Failures>,
    reports: Option<RateLimit<ClientAddress>>,
}

impl Limits {
    /// Creates the configured limits. Nothing is used up yet.
    pub fn new(config: &LimitConfig) -> Self {
        Self {
            create: config.create.map(RateLimit::new),
            portal: config.portal.map(RateLimit::new),
            failures: config.failed_auth.map(Failures::new),
            reports: config.reports.map(RateLimit::new),
        }
    }

    /// Counts a creation, or the start of a rotation, by the account.
    pub fn create(&self, account: &AccountId) -> Result<(), ApiError> {
        let wait = self.create.as_ref().and_then(|limit| limit.count(account));
        refuse_if(Limit::Create, wait)
    }

    /// Counts a revocation by the account, also that of the new key in a canceled rotation. It
    /// uses up creations, and is never refused: whoever has lost a key must be able to revoke it
    /// at once.
    pub fn has_revoked(&self, account: &AccountId) {
        if let Some(limit) = &self.create {
            limit.count(account);
        }
    }

    /// Counts a portal link for the key.
    pub fn portal(&self, key: KeyId) -> Result<(), ApiError> {
        let wait = self.portal.as_ref().and_then(|limit| limit.count(&key));
        refuse_if(Limit::Portal, wait)
    }

    /// Counts a report of leaked keys from the address.
    pub fn report(&self, address: ClientAddress) -> Result<(), ApiError> {
        let wait = self
            .reports
            .as_ref()
            .and_then(|limit| limit.count(&address));
        refuse_if(Limit::Reports, wait)
    }

    /// Fails while too many requests from this address had invalid credentials. No
    /// credentials of such an address are looked up, so that guessing costs the
    /// database nothing.
    pub fn may_authenticate(&self, address: ClientAddress) -> Result<(), ApiError> {
        let failures = self.failures.as_ref();
        let wait = failures.and_then(|failures| failures.pause(address));
        refuse_if(Limit::FailedAuth, wait)
    }

    /// Counts a request from this address with invalid credentials.
    pub fn has_failed(&self, address: ClientAddress) {
        if let Some(failures) = &self.failures {
            failures.count(address);
        }
    }
}

/// Returns the 429 of a limit, if there is a time to wait.
fn refuse_if(limit: Limit, wait: Option<Duration>) -> Result<(), ApiError> {
    match wait {
        None => Ok(()),
        Some(wait) => {
            metrics::limited(limit);
            let error = ApiError::new(ErrorCode::RateLimited, messages::RATE_LIMITED);
            Err(error.retry_after(wait))
        }
    }
}
