//! The audit trail: what happened to each key, and who did it.

use serde::Serialize;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::ids::{AccountId, KeyId};
use crate::key::KeyPrefix;

/// The largest user agent that is kept, in bytes.
const MAX_USER_AGENT: usize = 200;

/// What happened to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// The key was created.
    Created,
    /// The key was revoked.
    Revoked,
    /// A rotation has replaced the key, which works until the end in the reason.
    Replaced,
    /// The rotation was canceled, and the key is the active one again.
    Restored,
    /// The account's Svix application exists.
    Provisioned,
    /// The work became a dead letter.
    GivenUp,
    /// A portal link was handed out.
    PortalOpened,
    /// Svix has ended the portal sessions of the revoked key.
    PortalSessionsEnded,
}

impl EventKind {
    /// Returns the name of the kind, as it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Revoked => "revoked",
            Self::Replaced => "replaced",
            Self::Restored => "restored",
            Self::Provisioned => "provisioned",
            Self::GivenUp => "given_up",
            Self::PortalOpened => "portal_opened",
            Self::PortalSessionsEnded => "portal_sessions_ended",
        }
    }
}

/// The kind of caller that did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// The account, with a session.
    Account,
    /// Somebody with the key.
    KeyHolder,
    /// An operator, with a command.
    Operator,
    /// A report of a leaked key.
    Report,
    /// A worker.
    Worker,
}

impl Actor {
    /// Returns the name of the actor, as it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::KeyHolder => "key_holder",
            Self::Operator => "operator",
            Self::Report => "report",
            Self::Worker => "worker",
        }
    }
}

/// Who did something, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The kind of caller.
    pub actor: Actor,
    /// Why, if that is known.
    pub reason: Option<String>,
    /// The id of the session, or the `jti` of the token.
    pub session_id: Option<String>,
    /// The address of the client.
    pub client_address: Option<String>,
    /// The client's `User-Agent`, as [`Origin::user_agent`] returns it.
    pub user_agent: Option<String>,
    /// The id of the request.
    pub request_id: Option<Uuid>,
}

impl Origin {
    /// Returns an origin of which only the actor is known.
    pub fn of(actor: Actor) -> Self {
        Self {
            actor,
            reason: None,
            session_id: None,
            client_address: None,
            user_agent: None,
            request_id: None,
        }
    }

    /// Returns the same origin with a reason, unless it has one.
    #[must_use]
    pub fn because(&self, reason: impl Into<String>) -> Self {
        let reason = self.reason.clone().unwrap_or_else(|| reason.into());
        Self {
            reason: Some(reason),
            ..self.clone()
        }
    }

    /// Returns a `User-Agent` as it is kept: at most 200 bytes, all of them printable.
    pub fn user_agent(header: &[u8]) -> String {
        let printable = |byte: u8| {
            if (b' '..=b'~').contains(&byte) {
                byte
            } else {
                b'?'
            }
        };
        let kept = header.iter().take(MAX_USER_AGENT).copied().map(printable);
        kept.map(char::from).collect()
    }
}

/// An entry of the audit trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct KeyEvent {
    /// The time at which it happened.
    pub at: Timestamp,
    /// What happened, as [`EventKind::as_str`] names it.
    pub kind: String,
    /// The key's id.
    pub key_id: KeyId,
    /// The account that the key belongs to.
    pub account_id: AccountId,
    /// The key's first 24 characters.
    pub key_prefix: KeyPrefix,
    /// Who did it, as [`Actor::as_str`] names it.
    pub actor: String,
    /// Why, if that is known.
    pub reason: Option<String>,
    /// The id of the session, or the `jti` of the token.
    pub session_id: Option<String>,
    /// The address of the client.
    pub client_address: Option<String>,
    /// The client's `User-Agent`.
    pub user_agent: Option<String>,
    /// The id of the request, as in the log.
    pub request_id: Option<Uuid>,
}

/// The end of a key, as its account may know it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Revocation {
    /// The time of revocation.
    pub at: Timestamp,
    actor: String,
    reason: Option<String>,
}

/// The reason for a revocation, as far as the account is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevocationReason {
    /// The account did it.
    ByYou,
    /// An operator did it.
    Operator,
    /// The key has leaked: somebody has reported it, or an operator knows it.
    Leaked,
}

impl Revocation {
    /// How an operator's reason begins if the key has leaked.
    pub const LEAKED: &str = "leaked";

    /// Returns the reason. What an operator has written is not for the account.
    pub fn reason(&self) -> RevocationReason {
        let is_leak = |reason: &String| reason.starts_with(Self::LEAKED);
        if self.actor == Actor::Report.as_str() {
            RevocationReason::Leaked
        } else if self.actor == Actor::Account.as_str() {
            RevocationReason::ByYou
        } else if self.reason.as_ref().is_some_and(is_leak) {
            RevocationReason::Leaked
        } else {
            RevocationReason::Operator
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_agent_is_printable_and_short() {
        assert_eq!(
            Origin::user_agent(b"curl/8.5\x1b[31m\xc3\xa9"),
            "curl/8.5?[31m??"
        );
        assert_eq!(Origin::user_agent(&[b'a'; 9000]).len(), 200);
    }
}
