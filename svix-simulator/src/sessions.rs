//! The portal sessions issued and ended.

use std::sync::Mutex;

use serde::Serialize;

use super::lock;

/// A link to the portal that was given out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PortalSession {
    /// The application's id, `app_…`.
    pub application: String,
    /// Its uid.
    pub uid: Option<String>,
    /// The `sessionId` the caller tied it to.
    pub session_id: Option<String>,
    /// How long it is valid, in seconds.
    pub expiry: u64,
    /// Whether an expire-all has ended it.
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

    /// Ends the application's sessions that have one of these ids; all of them, if none is named.
    pub(super) fn expire(&self, application: &str, session_ids: Vec<String>) {
        for session in lock(&self.issued).iter_mut() {
            let named = session.session_id.as_ref();
            session.ended |= session.application == application
                && (session_ids.is_empty() || named.is_some_and(|id| session_ids.contains(id)));
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
