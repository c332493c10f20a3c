//! The records that go into the store and come out of it.

use serde::Serialize;

use super::{EventKind, Job};
use crate::clock::Timestamp;
use crate::ids::{AccountId, KeyId};
use crate::key::KeyPrefix;
use crate::secret_hash::SecretHash;

/// A key to store.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// The key's id.
    pub id: KeyId,
    /// The account that the key belongs to.
    pub account_id: AccountId,
    /// The key's SHA-256.
    pub key_hash: SecretHash,
    /// The key's first 24 characters.
    pub key_prefix: KeyPrefix,
    /// The time of creation. Provisioning is due from then on.
    pub created_at: Timestamp,
    /// The SHA-256 of the request's `Idempotency-Key`, if it has one.
    pub idempotency_hash: Option<SecretHash>,
}

/// A key that a request has created before.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct KeyOfRequest {
    /// The key's first 24 characters.
    pub key_prefix: KeyPrefix,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time of revocation, if the key was revoked since.
    pub revoked_at: Option<Timestamp>,
}

/// A key that works, as stored: the active key of its account, or the one that a rotation
/// has replaced.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct StoredKey {
    /// The key's id.
    pub id: KeyId,
    /// The account that the key belongs to.
    pub account_id: AccountId,
    /// The key's first 24 characters.
    pub key_prefix: KeyPrefix,
    /// True once the account's Svix application exists.
    pub has_webhook: bool,
    /// The application's id at Svix (`app_…`), once it exists.
    pub svix_app_id: Option<String>,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time of the key's last use at the portal, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// The number of attempts ever made to provision the key.
    pub attempts: i32,
    /// The time at which the sweep sends the next attempt. While an attempt runs, it
    /// is the end of its lease.
    pub next_attempt_at: Option<Timestamp>,
    /// The end of the lease, while an attempt runs.
    pub leased_until: Option<Timestamp>,
    /// The time at which provisioning was given up.
    pub failed_at: Option<Timestamp>,
    /// The time at which the key ends, if a rotation has replaced it.
    pub expires_at: Option<Timestamp>,
}

/// A key that works, found by its hash. It has only what a check of a key needs, because checks
/// come by the thousand.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct FoundKey {
    /// The key's id.
    pub id: KeyId,
    /// The account that the key belongs to.
    pub account_id: AccountId,
    /// The key's first 24 characters.
    pub key_prefix: KeyPrefix,
    /// The application's id at Svix (`app_…`), once it exists.
    pub svix_app_id: Option<String>,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time of the key's last use, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// The time at which the key ends, if a rotation has replaced it.
    pub expires_at: Option<Timestamp>,
}

impl FoundKey {
    /// Returns whether the key works at this time.
    pub(super) fn is_live(&self, now: Timestamp) -> bool {
        is_before(now, self.expires_at)
    }
}

/// Returns whether a time is before the end of a key. At its end the key does not work any more.
fn is_before(now: Timestamp, end: Option<Timestamp>) -> bool {
    end.is_none_or(|end| now < end)
}

/// The keys of an account that may work.
#[derive(Debug, Clone, Default)]
pub struct AccountKeys {
    /// The active key.
    pub active: Option<StoredKey>,
    /// The key that a rotation has replaced. Its end may have passed.
    pub previous: Option<StoredKey>,
}

impl AccountKeys {
    /// Returns the key with this id, if it is one of them.
    pub fn with_id(self, id: KeyId) -> Option<StoredKey> {
        let keys = [self.active, self.previous];
        keys.into_iter().flatten().find(|key| key.id == id)
    }

    /// Adds a key, as the database has found it.
    pub(super) fn add(&mut self, key: StoredKey) {
        let place = match key.expires_at {
            None => &mut self.active,
            Some(_) => &mut self.previous,
        };
        *place = Some(key);
    }
}

/// The account of a session, and its keys.
#[derive(Debug, Clone)]
pub struct SessionKeys {
    /// The account that is signed in.
    pub account: AccountId,
    /// Its keys.
    pub keys: AccountKeys,
}

/// The progress of setting up a key's webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookState {
    /// An attempt is running or will be made.
    SettingUp,
    /// The Svix application exists.
    Ready,
    /// The work is a dead letter. An operator can re-arm it, or the account can revoke
    /// the key and create another.
    NeedsAttention,
}

impl StoredKey {
    /// Returns whether the key works at this time.
    pub fn is_live(&self, now: Timestamp) -> bool {
        is_before(now, self.expires_at)
    }

    /// Returns the time at which the next attempt is due, or `None` while one runs.
    pub fn next_attempt_due(&self) -> Option<Timestamp> {
        self.next_attempt_at.filter(|_| self.leased_until.is_none())
    }

    /// Returns the progress of setting up the webhooks.
    pub fn webhook_state(&self) -> WebhookState {
        if self.has_webhook {
            WebhookState::Ready
        } else if self.failed_at.is_some() {
            WebhookState::NeedsAttention
        } else {
            WebhookState::SettingUp
        }
    }
}

/// A key that was just revoked.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Revoked {
    /// The key's id.
    pub key_id: KeyId,
    /// The key's first 24 characters.
    pub key_prefix: KeyPrefix,
    /// The application's id at Svix, if the key could open the portal.
    pub(super) svix_app_id: Option<String>,
    attempt: i32,
    /// False if the key had ended before.
    pub(super) is_new: bool,
}

impl Revoked {
    /// Returns the job that ends the key's portal sessions, if it could have any.
    pub fn job(&self) -> Option<Job> {
        let job = Job::new(self.key_id, self.attempt);
        self.svix_app_id.is_some().then_some(job)
    }
}

/// The result of a request to replace an account's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Started {
    /// The account has a new key.
    Started {
        /// The key that was replaced.
        previous: Revoked,
        /// The job that sets up the new key's webhooks. `None` if it has taken them over.
        job: Option<Job>,
    },
    /// The account's key has replaced another that still works. Nothing was changed.
    UnderWay,
    /// The account has no active key. Nothing was changed.
    NoKey,
    /// A request with the same idempotency hash has created this key before. Nothing was
    /// changed.
    Repeated(KeyOfRequest),
}

/// The result of a request to cancel a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Canceled {
    /// The key that was replaced is the active one again.
    Canceled {
        /// The key that had replaced it.
        revoked: Option<Revoked>,
        /// The job that sets up the restored key's webhooks. `None` if it has them.
        job: Option<Job>,
    },
    /// No rotation was under way, or it was canceled before. Nothing was changed.
    Nothing,
    /// The key that was replaced has ended. Nothing was changed.
    Over,
}

/// A key, as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct ListedKey {
    /// The key's id.
    pub id: KeyId,
    /// The account that the key belongs to.
    pub account_id: AccountId,
    /// The key's first 24 characters.
    pub key_prefix: KeyPrefix,
    /// False once the key is revoked, or replaced by a rotation.
    pub is_active: bool,
    /// True once the account's Svix application exists.
    pub has_webhook: bool,
    /// The application's id at Svix, once it exists.
    pub svix_app_id: Option<String>,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time of revocation. Of a key that a rotation has replaced, it is the end.
    pub revoked_at: Option<Timestamp>,
    /// The end of a key that a rotation has replaced, unless something else has ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The time of the key's last use, to the minute.
    pub last_used_at: Option<Timestamp>,
}

/// The keys that an operator asks for. Every condition that is set must hold.
#[derive(Debug, Clone, Default)]
pub struct KeyFilter {
    /// The account that the key belongs to.
    pub account: Option<AccountId>,
    /// The key's first 24 characters.
    pub prefix: Option<KeyPrefix>,
    /// The key's SHA-256.
    pub hash: Option<SecretHash>,
    /// The key is older than this.
    pub created_before: Option<Timestamp>,
    /// Keys that do not work any more are included.
    pub with_revoked: bool,
}

/// A session of the table, as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedSession {
    /// The session's id, as [`SecretHash::id`] returns it.
    pub id: String,
    /// The account that the session signs in to.
    pub account_id: AccountId,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time at which it ends.
    pub expires_at: Timestamp,
}

/// The right to make one attempt.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Claim {
    /// The key's id, which names the row.
    pub key_id: KeyId,
    /// The account that the key belongs to.
    pub account_id: AccountId,
    /// The row's `attempts`, including this one. It is the fencing token.
    pub attempt: i32,
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

/// What an attempt has to do.
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
