//! Keys and sessions, as they go into the store and come out of it.

use serde::Serialize;

use super::Job;
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

/// A key that works, found by its hash. It has only what checks and the portal need, because checks
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

/// Returns whether a time is before the end of a key. At its end the key no longer works.
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
