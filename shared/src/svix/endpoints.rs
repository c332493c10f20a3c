//! The webhook endpoints that partners add in the App Portal.

use serde::Serialize;
use svix::api::EndpointListOptions;
use svix::models::{EndpointOut, EndpointPatch};

use super::{SvixClient, SvixError};
use crate::clock::Timestamp;
use crate::metrics::SvixCall;

/// The number of endpoints that are asked for at once, which is Svix's largest page.
const PAGE: u64 = 250;
/// The number of endpoints that are read at all.
const MAX_ENDPOINTS: usize = 5_000;

impl SvixClient {
    /// Returns the webhook endpoints of the application, at most 5,000.
    pub async fn endpoints(&self, svix_app_id: &str) -> Result<Vec<WebhookEndpoint>, SvixError> {
        let mut endpoints = Vec::new();
        let mut iterator = None;
        loop {
            let options = EndpointListOptions {
                limit: Some(PAGE),
                iterator,
                ..EndpointListOptions::default()
            };
            let api = self.svix.endpoint();
            let list = api.list(svix_app_id.to_owned(), Some(options));
            let page = self.call(SvixCall::ListEndpoints, list).await?;
            endpoints.extend(page.data.into_iter().map(WebhookEndpoint::from_sdk));
            iterator = page.iterator;
            if page.done || iterator.is_none() || endpoints.len() >= MAX_ENDPOINTS {
                return Ok(endpoints);
            }
        }
    }

    /// Makes Svix send nothing more to the endpoint.
    pub async fn disable_endpoint(
        &self,
        svix_app_id: &str,
        endpoint_id: &str,
    ) -> Result<(), SvixError> {
        let patch = EndpointPatch {
            disabled: Some(true),
            ..EndpointPatch::new()
        };
        let (app, endpoint) = (svix_app_id.to_owned(), endpoint_id.to_owned());
        let api = self.svix.endpoint();
        let disable = api.patch(app, endpoint, patch);
        self.call(SvixCall::PatchEndpoint, disable).await?;
        Ok(())
    }
}

/// A partner's webhook endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WebhookEndpoint {
    /// The endpoint's id at Svix.
    pub id: String,
    /// The address that gets the messages.
    pub url: String,
    /// True if no messages are sent to it.
    pub disabled: bool,
    /// The time of creation.
    pub created_at: Timestamp,
}

impl WebhookEndpoint {
    fn from_sdk(endpoint: EndpointOut) -> Self {
        Self {
            id: endpoint.id,
            url: endpoint.url,
            disabled: endpoint.disabled.unwrap_or(false),
            created_at: Timestamp::from_micros(endpoint.created_at.timestamp_micros()),
        }
    }
}
