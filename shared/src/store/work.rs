//! The work on keys: claims and outcomes of attempts, and what waits.

use super::{EventKind, Job};
use crate::clock::Timestamp;
use crate::ids::{AccountId, KeyId};

/// The right to make one attempt.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Claim {
    /// The key's id, which names the row.
    pub key_id: KeyId,
    /// The account that the key belongs to.
    pub account_id: AccountId,
    /// The row's `attempts`, including this one. With the end of the lease, it is the
    /// fencing token.
    pub attempt: i32,
    /// The time at which the lease ends. It tells this claim from one of the same attempt
    /// that a crash of the database has lost.
    pub lease_end: Timestamp,
    /// The number of this attempt since the work was last armed, counted from 1. The
    /// backoff and the retry budget use it.
    pub tries: i32,
    /// The time at which the key was created.
    pub created_at: Timestamp,
    /// The time at which the key was revoked, if it is.
    pub revoked_at: Option<Timestamp>,
    /// The id of the account's application at Svix, if it exists.
    pub svix_app_id: Option<String>,
    /// True if the attempt before was not finished, so that its lease expired.
    #[sqlx(default)]
    pub after_expired_lease: bool,
}

/// The task of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work<'a> {
    /// Make sure that the account's Svix application exists.
    Provision,
    /// End the portal sessions of a revoked key.
    EndPortalSessions {
        /// The application's id at Svix.
        svix_app_id: &'a str,
    },
}

impl Claim {
    /// Returns the job that this is the claim of.
    pub fn job(&self) -> Job {
        Job::new(self.key_id, self.attempt - 1)
    }

    /// Returns whether the work was armed only once, with the creation of the key.
    pub fn is_first_work(&self) -> bool {
        self.tries == self.attempt
    }

    /// Returns what the attempt has to do.
    pub fn work(&self) -> Work<'_> {
        match (&self.svix_app_id, self.revoked_at) {
            (Some(svix_app_id), Some(_)) => Work::EndPortalSessions { svix_app_id },
            _ => Work::Provision,
        }
    }
}

/// The outcome of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The application exists.
    Provisioned {
        /// The application's id at Svix.
        svix_app_id: String,
    },
    /// The portal sessions of the revoked key have ended.
    PortalSessionsEnded,
    /// The attempt failed, and a retry may succeed.
    Retry {
        /// The time of the next attempt.
        at: Timestamp,
        /// The reason, for operators. It contains no secret.
        error: String,
    },
    /// The attempt failed, and no further one will be made.
    DeadLetter {
        /// The time of the failure.
        at: Timestamp,
        /// The reason, for operators. It contains no secret.
        error: String,
    },
}

impl Outcome {
    /// Returns the name of the outcome, as the statements know it.
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Retry { .. } => "retry",
            outcome => outcome.event().map_or("", EventKind::as_str),
        }
    }

    /// Returns the event that the audit trail gets. That another attempt follows is
    /// none.
    pub(super) fn event(&self) -> Option<EventKind> {
        match self {
            Self::Provisioned { .. } => Some(EventKind::Provisioned),
            Self::PortalSessionsEnded => Some(EventKind::PortalSessionsEnded),
            Self::DeadLetter { .. } => Some(EventKind::GivenUp),
            Self::Retry { .. } => None,
        }
    }

    /// Returns the id of the application that exists now.
    pub(super) fn svix_app_id(&self) -> Option<&str> {
        match self {
            Self::Provisioned { svix_app_id } => Some(svix_app_id),
            _ => None,
        }
    }

    /// Returns the time of the next attempt, or of the last failure.
    pub(super) fn at(&self) -> Option<Timestamp> {
        match self {
            Self::Retry { at, .. } | Self::DeadLetter { at, .. } => Some(*at),
            _ => None,
        }
    }

    /// Returns the reason of a failure.
    pub(super) fn error(&self) -> Option<&str> {
        match self {
            Self::Retry { error, .. } | Self::DeadLetter { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// The work that an operator makes due again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rearm {
    /// One key's work, if it is a dead letter or waits for a later attempt.
    One(KeyId),
    /// All dead letters.
    DeadLetters,
    /// All work that waits for a later attempt.
    Waiting,
}

/// The amount of work, by state.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Backlog {
    /// Rows that can be claimed now, including those with expired leases.
    pub due: i64,
    /// Rows with a running lease.
    pub leased: i64,
    /// Rows that wait for a later attempt.
    pub waiting: i64,
    /// Dead letters.
    pub failed: i64,
    /// The time at which the oldest due attempt became due.
    pub oldest_due: Option<Timestamp>,
}

/// Work that was given up after too many failures, or after a permanent one.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct DeadLetter {
    /// The key's id, which names the row.
    pub key_id: KeyId,
    /// The account that the key belongs to.
    pub account_id: AccountId,
    /// The time at which the key was revoked, if it is: then the work was to end its
    /// portal sessions.
    pub revoked_at: Option<Timestamp>,
    /// The number of attempts ever made.
    pub attempts: i32,
    /// The time at which the work was given up.
    pub failed_at: Timestamp,
    /// The reason. It contains no secret.
    pub last_error: Option<String>,
}
