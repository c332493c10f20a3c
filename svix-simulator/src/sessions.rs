//! The portal sessions that were issued and ended.

use std::sync::Mutex;

use serde::Serialize;

use super::state::lock;

/// A portal session: one issued link to the App Portal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PortalSession {
    /// The application's id, `app_…`.
    pub application: String,
    /// The application's uid.
    pub uid: Option<String>,
    /// The `sessionId` that the caller chose.
    pub session_id: Option<String>,
    /// The time that the link is valid, in seconds.
    pub expiry: u64,
    /// `true` after a call to expire-all ended the session.
    pub ended: bool,
}

#[derive(Default)]
pub(super) struct Sessions {
    issued: Mutex<Vec<PortalSession>>,
    expired: Mutex<Vec<String>>,
}

impl Sessions {
    pub(super) fn issue(&self, session: PortalSession) {
        lock(&self.issued).push(session);
    }

    /// Ends the application's sessions with these session ids. Ends all its
    /// sessions if `session_ids` is empty.
    pub(super) fn expire(&self, application: &str, session_ids: Vec<String>) {
        for session in lock(&self.issued).iter_mut() {
            let session_id = session.session_id.as_ref();
            session.ended |= session.application == application
                && (session_ids.is_empty()
                    || session_id.is_some_and(|id| session_ids.contains(id)));
        }
        lock(&self.expired).extend(session_ids);
    }

    pub(super) fn issued(&self) -> Vec<PortalSession> {
        lock(&self.issued).clone()
    }

    pub(super) fn expired(&self) -> Vec<String> {
        lock(&self.expired).clone()
    }
}
