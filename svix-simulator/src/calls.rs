//! The number of requests received, by route and application.

use std::collections::BTreeMap;

use tokio::sync::watch;

use super::pattern::{Pattern, Route};

/// The number of requests by route and requested uid.
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
        // This fails only when the sender is dropped, and `self` holds the sender.
        let _ = counts
            .wait_for(|counts| count(counts, of) >= at_least)
            .await;
    }

    /// Returns the number of requests for each uid, over all routes.
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
