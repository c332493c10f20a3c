//! The requests received, counted by route and application.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::faults::Pattern;

/// The routes of the Svix API that are simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// `POST /api/v1/app`: the SDK's `create` and `get_or_create`.
    Create,
    /// `GET /api/v1/app/{id or uid}`.
    Get,
    /// `POST /api/v1/auth/app-portal-access/{id or uid}`.
    Portal,
    /// `POST /api/v1/auth/app/{id or uid}/expire-all`.
    ExpireAll,
}

/// By route, and by the uid that was asked for.
type Counts = BTreeMap<(Route, Option<String>), u64>;

#[derive(Default)]
pub(super) struct Calls(watch::Sender<Counts>);

impl Calls {
    pub(super) fn record(&self, route: Route, uid: Option<&str>) {
        self.0.send_modify(|counts| {
            *counts.entry((route, uid.map(str::to_owned))).or_default() += 1;
        });
    }

    pub(super) fn count(&self, of: &Pattern) -> u64 {
        count(&self.0.borrow(), of)
    }

    pub(super) async fn wait(&self, of: &Pattern, at_least: u64) {
        let mut counts = self.0.subscribe();
        // The error says that the sender is gone, and `self` has it.
        let _ = counts
            .wait_for(|counts| count(counts, of) >= at_least)
            .await;
    }

    /// How often each uid was asked for, by whatever route.
    pub(super) fn by_uid(&self) -> BTreeMap<String, u64> {
        let mut by_uid = BTreeMap::new();
        for ((_, uid), count) in self.0.borrow().iter() {
            if let Some(uid) = uid {
                *by_uid.entry(uid.clone()).or_default() += count;
            }
        }
        by_uid
    }
}

fn count(counts: &Counts, of: &Pattern) -> u64 {
    let matching = counts
        .iter()
        .filter(|((route, uid), _)| of.matches(*route, uid.as_deref()));
    matching.map(|(_, count)| count).sum()
}
