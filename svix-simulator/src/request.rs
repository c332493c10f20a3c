//! Parsing of requests to the simulated routes.

use poem::Request;
use poem::http::{Method, header};

use super::pattern::Route;

/// A request to one of the simulated routes.
pub(super) struct SvixRequest {
    pub(super) route: Route,
    /// The id or uid in the path. Empty for [`Route::Create`].
    pub(super) application: String,
    /// The endpoint's id in the path, for [`Route::PatchEndpoint`].
    pub(super) endpoint: String,
    /// The query parameter of this name, for [`Route::Create`].
    pub(super) get_if_exists: bool,
    /// The bearer token.
    pub(super) token: Option<String>,
    /// The `Host` header: the simulator's host and port as the client knows them.
    pub(super) host: String,
    pub(super) body: Vec<u8>,
}

impl SvixRequest {
    /// Parses a request. Returns `None` if its route is not simulated. The path
    /// may end with a slash.
    pub(super) fn parse(request: &Request, body: Vec<u8>) -> Option<Self> {
        let path = request.uri().path().trim_end_matches('/');
        let segments: Vec<&str> = path.split('/').collect();
        let mut endpoint = "";
        let (route, application) = match (request.method(), &segments[..]) {
            (&Method::POST, ["", "api", "v1", "app"]) => (Route::Create, ""),
            (&Method::GET, ["", "api", "v1", "app", app]) => (Route::Get, *app),
            (&Method::POST, ["", "api", "v1", "auth", "app-portal-access", app]) => {
                (Route::Portal, *app)
            }
            (&Method::POST, ["", "api", "v1", "auth", "app", app, "expire-all"]) => {
                (Route::ExpireAll, *app)
            }
            (&Method::GET, ["", "api", "v1", "app", app, "endpoint"]) => (Route::Endpoints, *app),
            (&Method::PATCH, ["", "api", "v1", "app", app, "endpoint", id]) => {
                endpoint = *id;
                (Route::PatchEndpoint, *app)
            }
            _ => return None,
        };
        let token = request
            .header(header::AUTHORIZATION)
            .and_then(|value| value.strip_prefix("Bearer "));
        let query = request.uri().query().unwrap_or_default();
        Some(Self {
            route,
            application: application.to_owned(),
            endpoint: endpoint.to_owned(),
            get_if_exists: query.split('&').any(|pair| pair == "get_if_exists=true"),
            token: token.map(str::to_owned),
            host: request.header(header::HOST).unwrap_or_default().to_owned(),
            body,
        })
    }
}
