//! The webhook endpoints, which partners add in the App Portal.

use std::sync::Mutex;

use serde::Serialize;

use super::applications::now_rfc3339;
use super::state::lock;

/// A webhook endpoint, in the JSON format of Svix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// The endpoint's id, `ep_…`.
    pub id: String,
    /// The application's id, `app_…`.
    #[serde(skip)]
    pub application: String,
    /// The address that gets the messages.
    pub url: String,
    /// True if no messages are sent to it.
    pub disabled: bool,
    description: String,
    metadata: serde_json::Map<String, serde_json::Value>,
    /// The time of creation: RFC 3339, UTC.
    pub created_at: String,
    updated_at: String,
}

#[derive(Default)]
pub(super) struct Endpoints(Mutex<Vec<Endpoint>>);

impl Endpoints {
    /// Adds an endpoint and returns its id.
    pub(super) fn add(&self, application: &str, url: &str) -> String {
        let mut endpoints = lock(&self.0);
        let now = now_rfc3339();
        let endpoint = Endpoint {
            id: format!("ep_{}", endpoints.len() + 1),
            application: application.to_owned(),
            url: url.to_owned(),
            disabled: false,
            description: String::new(),
            metadata: serde_json::Map::new(),
            created_at: now.clone(),
            updated_at: now,
        };
        let id = endpoint.id.clone();
        endpoints.push(endpoint);
        id
    }

    /// Returns the endpoints of the application, oldest first.
    pub(super) fn of(&self, application: &str) -> Vec<Endpoint> {
        let mut endpoints = lock(&self.0).clone();
        endpoints.retain(|endpoint| endpoint.application == application);
        endpoints
    }

    /// Changes an endpoint, if it exists, and returns it.
    pub(super) fn set_disabled(
        &self,
        application: &str,
        id: &str,
        disabled: bool,
    ) -> Option<Endpoint> {
        let mut endpoints = lock(&self.0);
        let mut endpoints = endpoints.iter_mut();
        let endpoint = endpoints.find(|it| it.application == application && it.id == id)?;
        endpoint.disabled = disabled;
        Some(endpoint.clone())
    }
}
