//! The simulated Svix API. Every request is counted; then its fault applies, or
//! its operation runs.

use std::ops::RangeInclusive;
use std::sync::Arc;

use poem::http::StatusCode;
use poem::{Endpoint, Request, Response};
use rand::distr::{Alphanumeric, SampleString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::applications::{Application, ApplicationIn, CreateOutcome};
use super::faults::Fault;
use super::pattern::Route;
use super::request::SvixRequest;
use super::response::SvixResponse;
use super::sessions::PortalSession;
use super::state::{State, lock};

/// The times for which Svix issues a portal link, in seconds: one hour to seven days.
const PORTAL_EXPIRY: RangeInclusive<u64> = 3_600..=604_800;

/// The maximum size of a request body, in bytes. The bodies of these routes are
/// much smaller.
const MAX_BODY: usize = 1 << 20;

/// The endpoint for all paths under `/api/v1`.
pub(super) struct Api {
    state: Arc<State>,
}

impl Endpoint for Api {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let body = request.take_body().into_bytes_limit(MAX_BODY).await?;
        let Some(svix_request) = SvixRequest::parse(&request, body.into()) else {
            return Ok(SvixResponse::empty(StatusCode::NOT_FOUND).into());
        };
        let (route, uid) = (svix_request.route, self.uid_of(&svix_request));
        self.state.calls.record(route, uid.as_deref());
        let Some((fault, work_done)) = self.state.faults.next_for(route, uid.as_deref()) else {
            return Ok(self.run(&svix_request).into());
        };
        if work_done {
            self.run(&svix_request);
        }
        Ok(match fault {
            Fault::Status(code) => {
                let status = StatusCode::from_u16(code);
                SvixResponse::error(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)).into()
            }
            Fault::RateLimited => SvixResponse::error(StatusCode::TOO_MANY_REQUESTS).into(),
            Fault::Race => {
                let svix_request = SvixRequest {
                    get_if_exists: false,
                    ..svix_request
                };
                self.run(&svix_request).into()
            }
            Fault::Latency(delay) => {
                let response = self.run(&svix_request);
                tokio::time::sleep(delay).await;
                response.into()
            }
            Fault::Hang => std::future::pending().await,
            Fault::Reset => {
                if let Some(client) = request.remote_addr().as_socket_addr() {
                    self.state.resets.mark(*client);
                }
                // The client never receives this: writing it resets the connection.
                SvixResponse::empty(StatusCode::OK).into()
            }
            Fault::TruncatedBody => self.run(&svix_request).truncated(),
            Fault::NotJson => SvixResponse::html_page().into(),
            Fault::HugeBody(length) => SvixResponse::huge(length).into(),
        })
    }
}

impl Api {
    pub(super) fn new(state: Arc<State>) -> Self {
        Self { state }
    }

    /// Returns the uid that the request is for. Counts and patterns use it.
    fn uid_of(&self, request: &SvixRequest) -> Option<String> {
        if request.route == Route::Create {
            let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            return body["uid"].as_str().map(str::to_owned);
        }
        let found = self.state.applications.find(&request.application);
        let uid = found.and_then(|application| application.uid);
        Some(uid.unwrap_or_else(|| request.application.clone()))
    }

    /// Runs the operation. It does not await, so a client that disconnects
    /// cannot stop it halfway.
    fn run(&self, request: &SvixRequest) -> SvixResponse {
        if !self.accepts(request.token.as_deref()) {
            return SvixResponse::error(StatusCode::UNAUTHORIZED);
        }
        let result = match request.route {
            Route::Create => self.create(request),
            Route::Get => self
                .find(request)
                .map(|application| SvixResponse::json(StatusCode::OK, &application)),
            Route::Portal => self.portal(request),
            Route::ExpireAll => self.expire_all(request),
            Route::Endpoints => self.endpoints(request),
            Route::PatchEndpoint => self.patch_endpoint(request),
        };
        result.unwrap_or_else(|error_response| error_response)
    }

    fn accepts(&self, token: Option<&str>) -> bool {
        match (&*lock(&self.state.token), token) {
            (Some(expected), Some(token)) => expected == token,
            (None, Some(token)) => !token.is_empty(),
            (_, None) => false,
        }
    }

    fn find(&self, request: &SvixRequest) -> Result<Application, SvixResponse> {
        let found = self.state.applications.find(&request.application);
        found.ok_or_else(|| SvixResponse::error(StatusCode::NOT_FOUND))
    }

    fn create(&self, request: &SvixRequest) -> Result<SvixResponse, SvixResponse> {
        let input: ApplicationIn = parse(&request.body)?;
        if let Some((field, message)) = input.invalid_field() {
            return Err(SvixResponse::invalid(&["body", field], message));
        }
        match self.state.applications.create(input) {
            Ok(CreateOutcome::Created(application)) => {
                Ok(SvixResponse::json(StatusCode::CREATED, &application))
            }
            Ok(CreateOutcome::Existed(application)) if request.get_if_exists => {
                Ok(SvixResponse::json(StatusCode::OK, &application))
            }
            Ok(CreateOutcome::Existed(_)) => Err(SvixResponse::error(StatusCode::CONFLICT)),
            Err(error) => {
                tracing::error!(%error, "the simulator cannot write its data file");
                Err(SvixResponse::error(StatusCode::INTERNAL_SERVER_ERROR))
            }
        }
    }

    fn portal(&self, request: &SvixRequest) -> Result<SvixResponse, SvixResponse> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct PortalIn {
            expiry: Option<u64>,
            session_id: Option<String>,
        }
        let input: PortalIn = parse(&request.body)?;
        let expiry = input.expiry.unwrap_or(*PORTAL_EXPIRY.end());
        if !PORTAL_EXPIRY.contains(&expiry) {
            let message = "expiry must be between 3600 and 604800 seconds";
            return Err(SvixResponse::invalid(&["body", "expiry"], message));
        }
        let application = self.find(request)?;
        let random = Alphanumeric.sample_string(&mut rand::rng(), 32);
        let token = format!("appsk_{random}");
        let (scheme, host) = (self.state.scheme, &request.host);
        let url = format!("{scheme}://{host}/login#key={token}");
        self.state.sessions.issue(PortalSession {
            application: application.id,
            uid: application.uid,
            session_id: input.session_id,
            expiry,
            ended: false,
        });
        let body = json!({ "url": url, "token": token });
        Ok(SvixResponse::json(StatusCode::OK, &body))
    }

    fn expire_all(&self, request: &SvixRequest) -> Result<SvixResponse, SvixResponse> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct ExpireIn {
            #[serde(default)]
            session_ids: Vec<String>,
        }
        let input: ExpireIn = parse(&request.body)?;
        let application = self.find(request)?;
        self.state
            .sessions
            .expire(&application.id, input.session_ids);
        Ok(SvixResponse::empty(StatusCode::NO_CONTENT))
    }

    fn endpoints(&self, request: &SvixRequest) -> Result<SvixResponse, SvixResponse> {
        let application = self.find(request)?;
        let data = self.state.endpoints.of(&application.id);
        let body = json!({"data": data, "iterator": null, "done": true});
        Ok(SvixResponse::json(StatusCode::OK, &body))
    }

    fn patch_endpoint(&self, request: &SvixRequest) -> Result<SvixResponse, SvixResponse> {
        #[derive(Deserialize)]
        struct EndpointPatch {
            disabled: bool,
        }
        let input: EndpointPatch = parse(&request.body)?;
        let application = self.find(request)?;
        let endpoints = &self.state.endpoints;
        let changed = endpoints.set_disabled(&application.id, &request.endpoint, input.disabled);
        let changed = changed.ok_or_else(|| SvixResponse::error(StatusCode::NOT_FOUND))?;
        Ok(SvixResponse::json(StatusCode::OK, &changed))
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, SvixResponse> {
    serde_json::from_slice(body)
        .map_err(|error| SvixResponse::invalid(&["body"], &error.to_string()))
}
