//! The simulated routes, and patterns that select requests.

use serde::{Deserialize, Serialize};

/// A simulated route of the Svix API.
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
    /// `GET /api/v1/app/{id or uid}/endpoint`.
    Endpoints,
    /// `PATCH /api/v1/app/{id or uid}/endpoint/{id}`.
    PatchEndpoint,
}

/// A selection of requests: on one route or all routes, for one application or
/// all applications.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pattern {
    route: Option<Route>,
    uid: Option<String>,
}

impl Pattern {
    /// Selects all requests.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Selects the requests that create an application.
    #[must_use]
    pub fn create() -> Self {
        Route::Create.into()
    }

    /// Selects the requests that read an application.
    #[must_use]
    pub fn get() -> Self {
        Route::Get.into()
    }

    /// Selects the requests for a portal link.
    #[must_use]
    pub fn portal() -> Self {
        Route::Portal.into()
    }

    /// Selects the requests that end portal sessions.
    #[must_use]
    pub fn expire_all() -> Self {
        Route::ExpireAll.into()
    }

    /// Limits the selection to the application with this uid. Requests with the
    /// application's id in the path match too.
    #[must_use]
    pub fn uid(self, uid: impl Into<String>) -> Self {
        Self {
            uid: Some(uid.into()),
            ..self
        }
    }

    pub(super) fn matches(&self, route: Route, uid: Option<&str>) -> bool {
        self.route.is_none_or(|selected| selected == route)
            && (self.uid.is_none() || self.uid.as_deref() == uid)
    }

    pub(super) fn from_parts(route: Option<Route>, uid: Option<String>) -> Self {
        Self { route, uid }
    }

    pub(super) fn into_parts(self) -> (Option<Route>, Option<String>) {
        (self.route, self.uid)
    }
}

impl From<Route> for Pattern {
    fn from(route: Route) -> Self {
        Self::from_parts(Some(route), None)
    }
}
