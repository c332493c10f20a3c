//! What goes into the store and comes out of it.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::{AccountId, KeyId};
use crate::key::KeyPrefix;
use crate::secret_hash::SecretHash;

/// A key to store.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Its id.
    pub id: KeyId,
    /// Whose it is.
    pub account_id: AccountId,
    /// SHA-256 of it.
    pub key_hash: SecretHash,
    /// Its first 24 characters.
    pub key_prefix: KeyPrefix,
    /// When it was minted; its provisioning is due from then on.
    pub created_at: Timestamp,
}

/// An active key, as stored.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct StoredKey {
    /// Its id.
    pub id: KeyId,
    /// Whose it is.
    pub account_id: AccountId,
    /// Its first 24 characters.
    pub key_prefix: KeyPrefix,
    /// Whether the account's Svix application exists.
    pub has_webhook: bool,
    /// The application's id at Svix (`app_…`), once it exists.
    pub svix_app_id: Option<String>,
    /// When it was minted.
    pub created_at: Timestamp,
    /// When it was last presented at the portal, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// Attempts ever made to provision it.
    pub attempts: i32,
    /// When the sweep sends the next attempt: while one is being made, when its
    /// lease ends.
    pub next_attempt_at: Option<Timestamp>,
    /// While an attempt is being made: when its lease ends.
    pub leased_until: Option<Timestamp>,
    /// When provisioning was given up.
    pub failed_at: Option<Timestamp>,
}

/// How far the provisioning of a key's webhooks is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookState {
    /// The worker is at it, or will be when the next attempt is due.
    SettingUp,
    /// The Svix application exists.
    Ready,
    /// Given up; an operator re-arms it, or the account mints anew.
    NeedsAttention,
}

impl StoredKey {
    /// When the next attempt is due; none while one is being made.
    pub fn next_attempt_due(&self) -> Option<Timestamp> {
        self.next_attempt_at.filter(|_| self.leased_until.is_none())
    }

    /// How far the provisioning is.
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
    /// Its id.
    pub id: KeyId,
    /// The account's application at Svix, if it exists.
    pub svix_app_id: Option<String>,
}

/// A hint that an attempt is due: all that the queue ever holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::FromRow)]
pub struct Job {
    /// The row.
    pub key_id: KeyId,
    /// The row's `attempts` when the job was made. The claim needs them equal,
    /// so a job that comes late or twice does nothing.
    pub attempt: i32,
}

/// The right to make one attempt.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Claim {
    /// The row.
    pub key_id: KeyId,
    /// Whose it is.
    pub account_id: AccountId,
    /// The row's `attempts` with this one: the fencing token.
    pub attempt: i32,
    /// Which attempt this is since the work was last armed, from 1: what the
    /// backoff and the retry budget count.
    pub tries: i32,
    /// When the key was minted.
    pub created_at: Timestamp,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The application exists.
    Provisioned {
        /// Its id at Svix.
        svix_app_id: String,
    },
    /// It failed in a way that may pass.
    Retry {
        /// When to try again.
        at: Timestamp,
        /// Why, for operators, scrubbed.
        error: String,
    },
    /// It failed for good: a dead letter.
    DeadLetter {
        /// When.
        at: Timestamp,
        /// Why, for operators, scrubbed.
        error: String,
    },
}

/// Which work an operator makes due again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rearm {
    /// This row's: a dead letter, or waiting for a later attempt.
    One(KeyId),
    /// All dead letters'.
    DeadLetters,
    /// All that waits for a later attempt.
    Waiting,
}

/// How much provisioning work there is, by state.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Backlog {
    /// Waiting to be claimed now, expired leases included.
    pub due: i64,
    /// Claimed, the lease running.
    pub leased: i64,
    /// Waiting for a later attempt.
    pub waiting: i64,
    /// Given up.
    pub failed: i64,
    /// When the oldest due attempt became due.
    pub oldest_due: Option<Timestamp>,
}

/// Work that was given up.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct DeadLetter {
    /// The row.
    pub key_id: KeyId,
    /// Whose it is.
    pub account_id: AccountId,
    /// Attempts ever made.
    pub attempts: i32,
    /// When it was given up.
    pub failed_at: Timestamp,
    /// Why, scrubbed.
    pub last_error: Option<String>,
}
